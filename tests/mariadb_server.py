"""A real MariaDB on loopback, from Debian's package, in a temporary directory, for tests.

It must not touch any server that Debian manages, and leaves nothing behind; killed tests leave only its folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.ports import free_port
from tests.waiting import until

USER = "mysql"


@dataclass(frozen=True, kw_only=True)
class MariadbServer:
    """A running server on ``port`` of 127.0.0.1; its root needs no password."""

    port: int

    def connect(self, database: str | None = None, **more: Any) -> pymysql.connections.Connection[Any]:
        """Return a new connection; without autocommit unless ``more`` says so."""
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", database=database, **more)

    def create_database(self, name: str) -> str:
        """Create the database ``name``, replacing one of that name, and return it."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """Run a MariaDB for this session of tests."""
    if shutil.which("mariadb-install-db") is None:
        pytest.fail("MariaDB is not installed: run `make packages`")
    directory = Path(tempfile.mkdtemp(prefix="headrace-mariadb-"))
    try:
        yield from _running(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _running(directory: Path) -> Iterator[MariadbServer]:
    if os.geteuid() == 0:
        shutil.chown(directory, USER, USER)
    where = ("--no-defaults", f"--datadir={directory / 'data'}")
    words = ["setpriv", *_user(), "mariadb-install-db", *where, "--auth-root-authentication-method=normal"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/")
    port = free_port()
    own = (f"--socket={directory / 'socket'}", f"--pid-file={directory / 'pid'}", "--skip-log-bin")
    address = ("--bind-address=127.0.0.1", f"--port={port}")
    log = directory / "log"
    with log.open("wb") as out:
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        words = ["setpriv", "--pdeathsig=KILL", *_user(), program, *where, *own, *address]
        server = subprocess.Popen(words, stdout=out, stderr=out, cwd="/")
    try:
        until("an answer of MariaDB", lambda: _answers(MariadbServer(port=port), server, log))
        yield MariadbServer(port=port)
    finally:
        server.kill()
        server.wait(timeout=20)


def _answers(server: MariadbServer, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"MariaDB ended; it said last:\n{log.read_text()[-2000:]}"
    try:
        server.connect(connect_timeout=2).close()
    except pymysql.err.OperationalError:
        return False
    return True


def _user() -> tuple[str, ...]:
    """Give setpriv's options for MariaDB's programs: they refuse root, so root lends them Debian's user."""
    return (f"--reuid={USER}", f"--regid={USER}", "--init-groups") if os.geteuid() == 0 else ()
