"""A real PostgreSQL on loopback, from Debian's package, for tests."""

from __future__ import annotations

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
    """A running server on ``port`` of 127.0.0.1; its superuser needs no password."""

    port: int

    def url(self, database: str = "postgres") -> str:
        """Return libpq's URL of ``database``."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create the database ``name``, replacing one of that name, and return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run one for this session of tests."""
    with running() as server:
        yield server


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server until the end of the block."""
    with folder("postgres", USER) as directory:
        files, server = directory / "data", PostgresServer(port=free_port())
        initdb, program = (str(_binaries() / name) for name in ("initdb", "postgres"))
        run(USER, initdb, "--pgdata", str(files), "--auth", "trust", "--username", "postgres", "--no-sync")
        with (files / "postgresql.conf").open("a") as settings:
            made = _SETTINGS | {"port": str(server.port)}
            settings.writelines(f"{name} = '{value}'\n" for name, value in made.items())
        at_once = signal.SIGQUIT  # its children too
        with serving(USER, [program, "-D", str(files)], directory / "log", partial(_answers, server), at_once):
            yield server


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
