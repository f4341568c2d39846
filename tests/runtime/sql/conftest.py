"""The databases that an inbox may be in."""

from __future__ import annotations

import pytest

from tests.runtime.sql import databases
from tests.runtime.sql.databases import Database


@pytest.fixture(params=["postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Give one test an empty database with an inbox, on each server in turn."""
    if request.param == "mysql":
        made = databases.mariadb(request.getfixturevalue("mariadb_server"))
    else:
        made = databases.postgres(request.getfixturevalue("postgres_server"))
    made.make()
    return made
