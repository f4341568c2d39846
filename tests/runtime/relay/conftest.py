"""The databases that an outbox may be in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka_broker import KafkaBroker
from tests.runtime.relay import outboxes
from tests.runtime.relay.outboxes import Outbox, Place


@pytest.fixture(params=["postgresql", "mysql"])
def place(request: pytest.FixtureRequest) -> Place:
    """Give one test an empty database, on each server in turn."""
    if request.param == "mysql":
        return outboxes.mariadb(request.getfixturevalue("mariadb_server"))
    return outboxes.postgres(request.getfixturevalue("postgres_server"))


@pytest.fixture
def made(place: Place, kafka_broker: KafkaBroker, tmp_path: Path) -> Outbox:
    """Give one test an empty outbox on each server in turn."""
    return outboxes.make(place, kafka_broker, tmp_path)
