"""A real PostgreSQL on loopback, from Debian's package, in a temporary directory, for tests.

It must not touch any cluster that Debian manages, and leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

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
    """Run a PostgreSQL for this session of tests."""
    directory = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
    try:
        yield from _running(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _running(directory: Path) -> Iterator[PostgresServer]:
    files = directory / "data"
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    _run("initdb", "--pgdata", str(files), "--auth", "trust", "--username", "postgres", "--no-sync")
    port = _free_port()
    with (files / "postgresql.conf").open("a") as settings:
        settings.writelines(f"{name} = '{value}'\n" for name, value in (_SETTINGS | {"port": str(port)}).items())
    control = ("pg_ctl", "--pgdata", str(files), "--wait", "--timeout", "30", "--log", str(directory / "log"))
    _run(*control, "start")
    try:
        yield PostgresServer(port=port)
    finally:
        _run(*control, "--mode", "immediate", "stop")


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; it refuses root, so root lends it Debian's user."""
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run([str(_binaries() / program), *arguments], check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")


def _binaries() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not versions:
        pytest.fail("PostgreSQL is not installed: run `make packages`")
    return versions[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
