"""One connection to a PostgreSQL, by which every statement has its deadline.

The server ends a statement first, so that the connection stays; a server that does not answer loses its connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from headrace_agent import credentials
from headrace_agent.credentials import Credentials
from headrace_agent.declared import Postgres
from headrace_agent.sources.postgres import failures

CONNECT_WITHIN = 5
"""Seconds for one address, and twice as many for all addresses of a name."""

ANSWER_WITHIN = 6.0
"""Seconds for one statement."""

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""The system's authorities, where no others are given: Debian's place."""

LIVES = 60.0
"""Seconds until the login is tried anew: a server asks for a password only then, and workers log in at any time."""

_OPTIONS = "-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=30s"


class Session:
    """An open connection; made by `connect`."""

    def __init__(self, source: Postgres, login: Credentials, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._source = source
        self._login = login
        self._connection = connection
        self._ends = time.monotonic() + LIVES

    async def rows(self, statement: sql.SQL | sql.Composed, values: Mapping[str, Any] | None = None) -> list[DictRow]:
        """Run one statement, and return its rows, if it has any; raises `Unseen`."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                cursor = await self._connection.execute(statement, values)
                return await cursor.fetchall() if cursor.description else []
        except TimeoutError:
            self.close()
            raise failures.of_deadline(ANSWER_WITHIN, self._source) from None
        except psycopg.Error as error:
            raise failures.of_statement(error, self._source) from None

    def is_current(self) -> bool:
        """Tell whether it is open, young, and logged in by what the files have; raises `Unseen` without them."""
        is_young = time.monotonic() < self._ends
        return is_young and not self._connection.closed and credentials.read(self._source.login) == self._login

    def close(self) -> None:
        """End the connection at once; that it is closed already is fine."""
        self._connection.pgconn.finish()


async def connect(source: Postgres) -> Session:
    """Log in with what the mounted files have now; raises `Unseen`."""
    login = credentials.read(source.login)
    address = _address(source, login)
    try:
        async with asyncio.timeout(2 * CONNECT_WITHIN):
            connection = await psycopg.AsyncConnection.connect(
                address, autocommit=True, prepare_threshold=None, row_factory=dict_row
            )
    except TimeoutError:
        raise failures.of_deadline(2 * CONNECT_WITHIN, source) from None
    except psycopg.Error as error:
        raise failures.of_connect(error, source) from None
    return Session(source, login, connection)


def _address(source: Postgres, login: Credentials) -> str:
    """Return libpq's words; the files that it would look for at home are never meant."""
    tls = source.tls
    credentials.check(tls)
    authorities = AUTHORITIES if tls.mode in ("verify-ca", "verify-full") else ""
    return make_conninfo(
        host=source.host,
        port=source.port,
        dbname=source.database,
        user=login.user,
        password=login.password,
        sslmode=tls.mode,
        sslrootcert=tls.ca_file or authorities,
        sslcert=tls.certificate_file or "",
        sslkey=tls.key_file or "",
        connect_timeout=CONNECT_WITHIN,
        application_name="headrace-agent",
        options=_OPTIONS,
        gssencmode="disable",
    )
