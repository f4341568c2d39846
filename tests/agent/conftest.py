"""A PostgreSQL whose users log in with passwords, and a database of it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_agent.sources.postgres import session
from tests.agent.sources.postgres.shop import Shop, protected
from tests.postgres_server import PostgresServer, created, served
from tests.waiting import PATIENCE


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with created(max_slot_wal_keep_size="32MB", max_wal_size="32MB", min_wal_size="32MB", max_wal_senders="5") as made:
        protected(made)
        with served(made):
            yield made


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a database on a busy machine take its time to answer what a test itself asks."""
    monkeypatch.setattr(session, "CONNECT_WITHIN", int(PATIENCE))
    monkeypatch.setattr(session, "ANSWER_WITHIN", PATIENCE)
    monkeypatch.setattr(session, "_OPTIONS", f"-c statement_timeout={PATIENCE:.0f}s")


@pytest.fixture
def shop(server: PostgresServer, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(server, tmp_path)
    yield made
    made.close()
