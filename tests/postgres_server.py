"""A real PostgreSQL on loopback, from Debian's package, in a temporary directory, for tests.

It must not touch any cluster that Debian manages, and leaves nothing behind; killed tests leave only its folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.ports import free_port

START = 30.0
"""Seconds that the server has to answer."""

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
    port = free_port()
    with (files / "postgresql.conf").open("a") as settings:
        settings.writelines(f"{name} = '{value}'\n" for name, value in (_SETTINGS | {"port": str(port)}).items())
    log = directory / "log"
    with log.open("wb") as out:
        words = ["setpriv", "--pdeathsig=QUIT", *_user(), str(_binaries() / "postgres"), "-D", str(files)]
        server = subprocess.Popen(words, stdout=out, stderr=out, cwd="/")
    try:
        _await_answer(PostgresServer(port=port), server, log)
        yield PostgresServer(port=port)
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, its children too
        server.wait(timeout=20)


def _await_answer(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not answer; it said last:\n{log.read_text()[-2000:]}")


def _run(program: str, *arguments: str) -> None:
    words = ["setpriv", *_user(), str(_binaries() / program), *arguments]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/")


def _user() -> tuple[str, ...]:
    """Give setpriv's options for PostgreSQL's programs: they refuse root, so root lends them Debian's user."""
    return ("--reuid=postgres", "--regid=postgres", "--init-groups") if os.geteuid() == 0 else ()


def _binaries() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not versions:
        pytest.fail("PostgreSQL is not installed: run `make packages`")
    return versions[-1]
