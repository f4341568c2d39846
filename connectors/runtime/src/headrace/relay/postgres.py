"""PostgreSQL, by psycopg 3: its SQL, its connection, and its errors as sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from headrace import outbox
from headrace.config import Tls
from headrace.relay import credentials
from headrace.relay.database import Connection, Refused, Shape, TableMissing
from headrace.relay.sharing import BUCKETS
from headrace.relay.statements import DELETED_AT_ONCE, Asked, Dialect

BYTEA = 17

SESSION = (
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO'",
    "SET bytea_output = 'hex'",
    "SET default_transaction_isolation = 'read committed'",
)


class Postgres(Dialect):
    """PostgreSQL's SQL."""

    now = "now()"
    mark = '"'
    renewed = "ON CONFLICT (name) DO UPDATE SET until = EXCLUDED.until, holder = EXCLUDED.holder"

    def text(self, column: str, *, raw: bool) -> str:
        return column if raw else f"{column}::text"

    def words(self, column: str, *, raw: bool) -> str:
        return f"encode({column}, 'hex')" if raw else f"{column}::text"

    def size(self, text: str) -> str:
        return f"octet_length({text})"

    def lane(self, columns: Sequence[str]) -> str:
        found = ", ".join(f"{self.quoted(name)}::text" for name in columns)
        return f"COALESCE({found})" if len(columns) > 1 else found

    def bucket(self, lane: str) -> str:
        return f"(('x' || left(md5({lane}), 7))::bit(28)::int % {BUCKETS})".replace("%", "%%")

    def among(self, expression: str, values: Collection[Any], *, other: bool = False) -> Asked:
        return f"{expression} {'<> ALL' if other else '= ANY'}(%s)", (list(values),)

    def later(self, seconds: float) -> str:
        return f"{self.now} + interval '{seconds} seconds'"

    def seconds_since(self, expression: str) -> str:
        return f"extract(epoch FROM {self.now} - {expression})"

    def insert_missing(self, table: str, columns: str, rows: str) -> str:
        return f"INSERT INTO {table} ({columns}) VALUES {rows} ON CONFLICT DO NOTHING"

    def delete_old(self, table: str, identity: str, where: str, order: str) -> str:
        some = f"SELECT {identity} FROM {table} WHERE {where} ORDER BY {order} LIMIT {DELETED_AT_ONCE}"
        return f"DELETE FROM {table} WHERE {identity} IN ({some})"


class PostgresConnection(Connection):
    """One connection, each statement committed by itself."""

    def __init__(self, settings: outbox.Database, patience: float) -> None:
        """Open it, with so many seconds for each statement; raises `Refused`, ``OSError`` for a credential."""
        user, password = credentials.login(settings)
        with _telling():
            self._opened = psycopg.connect(
                host=settings.host,
                port=settings.port,
                dbname=settings.name,
                user=user,
                password=password,
                autocommit=True,
                prepare_threshold=None,
                connect_timeout=max(2, int(patience)),
                tcp_user_timeout=int(patience * 1000),
                application_name="headrace-relay",
                **_tls(settings.tls),
            )
            for statement in (*SESSION, f"SET statement_timeout = '{int(patience * 1000)}ms'"):
                self._opened.execute(statement)

    def run(self, asked: Asked) -> list[tuple[Any, ...]]:
        statement, given = asked
        with _telling(), self._opened.cursor() as cursor:
            cursor.execute(statement.encode(), given)
            return cursor.fetchall() if cursor.description else []

    def changed(self, asked: Asked) -> int:
        statement, given = asked
        with _telling(), self._opened.cursor() as cursor:
            return cursor.execute(statement.encode(), given).rowcount

    def shape(self, table: str) -> Shape:
        with _telling(), self._opened.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(*table.split("."))))
            return Shape({column.name: column.type_code == BYTEA for column in cursor.description or ()})

    def close(self) -> None:
        self._opened.close()


def _tls(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    pair = credentials.pair(tls)
    shown = {"sslcert": pair[0], "sslkey": pair[1]} if pair else {}
    return {"sslmode": "verify-full", "sslrootcert": credentials.authorities(tls), **shown}


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except errors.UndefinedTable as error:
        raise TableMissing(_words(error)) from error
    except psycopg.Error as error:
        raise Refused(_words(error)) from error


def _words(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error)
    return " ".join(f"{said} ({error.sqlstate})".split() if error.sqlstate else said.split())
