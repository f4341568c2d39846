"""A real PostgreSQL on loopback, from Debian's package, for tests."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.debian_server import folder, run, serving
from tests.ports import free_port
from tests.waiting import until

USER = "postgres"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "track_commit_timestamp": "on",
    "fsync": "off",
    "max_connections": "200",
    "unix_socket_directories": "",
}


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A running server on ``port`` of 127.0.0.1, with its files in ``folder``; its superuser needs no password."""

    port: int
    folder: Path

    def url(self, database: str = "postgres") -> str:
        """Return libpq's URL of ``database``."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create the database ``name``, replacing one of that name, and return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop_slots(self, database: str | None = None) -> None:
        """Drop all replication slots, or those of a database, each once nobody reads it any more."""
        until("the slots dropped", partial(self._have_dropped, database))

    def _have_dropped(self, database: str | None) -> bool:
        left = "FROM pg_replication_slots WHERE coalesce(database = %s, true)"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            with contextlib.suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {left} AND NOT active", [database])
            return connection.execute(f"SELECT count(*) {left}", [database]).fetchone() == (0,)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run one for this session of tests."""
    with running() as server:
        yield server


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server until the end of the block."""
    with created() as server, served(server):
        yield server


@contextmanager
def created(**settings: str) -> Iterator[PostgresServer]:
    """Make the files of a server, with ``settings`` of its own, and remove them at the end."""
    with folder("postgres", USER) as directory:
        files, server = directory / "data", PostgresServer(port=free_port(), folder=directory)
        initdb = str(_binaries() / "initdb")
        run(USER, initdb, "--pgdata", str(files), "--auth", "trust", "--username", "postgres", "--no-sync")
        with (files / "postgresql.conf").open("a") as written:
            made = _SETTINGS | {"port": str(server.port)} | settings
            written.writelines(f"{name} = '{value}'\n" for name, value in made.items())
        yield server


@contextmanager
def served(server: PostgresServer) -> Iterator[None]:
    """Run a server that was created, as it may be again and again."""
    words = [str(_binaries() / "postgres"), "-D", str(server.folder / "data")]
    at_once = signal.SIGQUIT  # its children too
    with serving(USER, words, server.folder / "log", partial(_answers, server), at_once):
        yield


def _answers(server: PostgresServer) -> bool:
    try:
        psycopg.connect(server.url(), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _binaries() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not versions:
        pytest.fail("PostgreSQL is not installed: run `make packages`")
    return versions[-1]
