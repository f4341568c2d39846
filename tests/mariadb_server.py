"""A real MariaDB on loopback, from Debian's package, for tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pymysql
import pytest

from tests.debian_server import folder, run, serving
from tests.ports import free_port

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
    """Run one for this session of tests."""
    with running() as server:
        yield server


@contextmanager
def running(*options: str) -> Iterator[MariadbServer]:
    """Run a server until the end of the block, with ``options`` of its own."""
    if shutil.which("mariadb-install-db") is None:
        pytest.fail("MariaDB is not installed: run `make packages`")
    with folder("mariadb", USER) as directory:
        where = ("--no-defaults", f"--datadir={directory / 'data'}")
        run(USER, "mariadb-install-db", *where, "--auth-root-authentication-method=normal")
        server = MariadbServer(port=free_port())
        own = (f"--socket={directory / 'socket'}", f"--pid-file={directory / 'pid'}", "--skip-log-bin")
        address = ("--bind-address=127.0.0.1", f"--port={server.port}")
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        with serving(USER, [program, *where, *own, *address, *options], directory / "log", partial(_answers, server)):
            yield server


def _answers(server: MariadbServer) -> bool:
    try:
        server.connect(connect_timeout=2).close()
    except pymysql.err.OperationalError:
        return False
    return True
