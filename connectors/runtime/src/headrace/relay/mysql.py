"""MySQL and MariaDB, by PyMySQL: their SQL, their connection, and their errors as sentences."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import ER

from headrace import outbox
from headrace.config import Tls
from headrace.relay import credentials
from headrace.relay.database import Connection, Refused, Shape, TableMissing
from headrace.relay.sharing import BUCKETS
from headrace.relay.statements import DELETED_AT_ONCE, Asked, Dialect

SESSION = (
    "SET time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)


class MySQL(Dialect):
    """The SQL of MySQL and MariaDB."""

    now = "UTC_TIMESTAMP(6)"
    mark = "`"
    renewed = "ON DUPLICATE KEY UPDATE until = VALUES(until), holder = VALUES(holder)"

    def text(self, column: str, *, raw: bool) -> str:
        return column

    def words(self, column: str, *, raw: bool) -> str:
        # A number is binary to CHARSET, and text once it is put together with nothing.
        is_bytes = f"CHARSET(CONCAT({column})) = 'binary'"
        return f"CASE WHEN {is_bytes} THEN LOWER(HEX({column})) ELSE CAST({column} AS CHAR) END"

    def size(self, text: str) -> str:
        return f"LENGTH({text})"

    def lane(self, columns: Sequence[str]) -> str:
        found = ", ".join(f"CAST({self.quoted(name)} AS BINARY)" for name in columns)
        return f"COALESCE({found})" if len(columns) > 1 else found

    def bucket(self, lane: str) -> str:
        return f"(CRC32({lane}) MOD {BUCKETS})"

    def among(self, expression: str, values: Collection[Any], *, other: bool = False) -> Asked:
        return f"{expression} {'NOT IN' if other else 'IN'} %s", (tuple(values),)

    def later(self, seconds: float) -> str:
        return f"{self.now} + INTERVAL {seconds} SECOND"

    def seconds_since(self, expression: str) -> str:
        return f"TIMESTAMPDIFF(MICROSECOND, {expression}, {self.now}) / 1000000"

    def insert_missing(self, table: str, columns: str, rows: str) -> str:
        return f"INSERT IGNORE INTO {table} ({columns}) VALUES {rows}"

    def delete_old(self, table: str, identity: str, where: str, order: str) -> str:
        return f"DELETE FROM {table} WHERE {where} ORDER BY {order} LIMIT {DELETED_AT_ONCE}"


class MySQLConnection(Connection):
    """One connection, each statement committed by itself."""

    def __init__(self, settings: outbox.Database, patience: float) -> None:
        """Open it, with so many seconds for each statement; raises `Refused`, ``OSError`` for a credential."""
        user, password = credentials.login(settings)
        with _telling():
            self._opened = pymysql.connect(
                host=settings.host,
                port=settings.port,
                database=settings.name,
                user=user,
                password=password.encode(),  # of text the driver makes Latin-1
                autocommit=True,
                charset="utf8mb4",
                connect_timeout=max(2, int(patience)),
                read_timeout=patience,
                write_timeout=patience,
                program_name="headrace-relay",
                ssl=_tls(settings.tls),
            )
            for statement in (*SESSION, f"SET innodb_lock_wait_timeout = {max(1, int(patience))}"):
                self.run((statement, ()))

    def run(self, asked: Asked) -> list[tuple[Any, ...]]:
        statement, given = asked
        with _telling(), self._opened.cursor() as cursor:
            cursor.execute(statement, given)
            return list(cursor.fetchall())

    def changed(self, asked: Asked) -> int:
        statement, given = asked
        with _telling(), self._opened.cursor() as cursor:
            return int(cursor.execute(statement, given))

    def shape(self, table: str) -> Shape:
        with _telling(), self._opened.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {MySQL().quoted(table)} LIMIT 0")
            return Shape({str(one[0]): False for one in cursor.description or ()})  # bytes come as bytes anyway

    def close(self) -> None:
        if self._opened.open:
            self._opened.close()


def _tls(tls: Tls | None) -> ssl.SSLContext | None:
    """Return a context as strict as libpq's: Python's default one refuses the authorities that MySQL makes itself."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(credentials.authorities(tls))
    if pair := credentials.pair(tls):
        context.load_cert_chain(*pair, password="")
    return context


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except pymysql.Error as error:
        number, words = (*error.args, "", "")[:2]
        kind = TableMissing if number == ER.NO_SUCH_TABLE else Refused
        raise kind(" ".join(f"{words} ({number})".split())) from error
