"""Notes in the effect's own transaction that a message took effect: the only way in which an effect happens once.

The driver is known from the connection that the handler gives, and is nobody's dependency.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Any, overload

from headrace.record import Record
from headrace.sql import dialects
from headrace.sql.dialects import TABLE, Dialect

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection
    from pymysql.connections import Connection as MySQLConnection

AUTOCOMMIT = (
    "headrace.inbox: this connection commits each statement by itself (autocommit), so that the message would count as "
    "handled though its effect fails. Turn autocommit off, or begin a transaction first ({begin})."
)


@overload
def inbox(connection: AsyncConnection[Any], record: Record, *, table: str = ...) -> Awaitable[bool]: ...


@overload
def inbox(connection: Connection[Any] | MySQLConnection[Any], record: Record, *, table: str = ...) -> bool: ...


def inbox(connection: Any, record: Record, *, table: str = TABLE) -> bool | Awaitable[bool]:
    """Note in the open transaction of ``connection`` that ``record`` takes effect; return whether that is new.

    True: make the effect, in the same transaction. False: its message took effect before, do nothing. While another
    transaction holds the same message, this waits for its end. ``connection`` is of psycopg (3) or PyMySQL; with an
    ``AsyncConnection`` the answer is awaited. The table is made by ``headrace inbox ddl``.

    Raises ``RuntimeError`` when the connection commits each statement by itself, ``TypeError`` for another connection,
    ``ValueError`` for what is no table's name, and what the driver raises, also in a transaction that has failed.
    """
    match _driver(connection):
        case "psycopg":
            statement = dialects.insert(Dialect.POSTGRESQL, table).encode()
            return _in_postgres(connection, statement, record)
        case "pymysql":
            return _in_mysql(connection, dialects.insert(Dialect.MYSQL, table), record)
        case _:
            kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
            raise TypeError(
                f"headrace.inbox takes a connection of psycopg (3) or PyMySQL, not {kind}: "
                "give it the driver's own (of SQLAlchemy: connection.connection.driver_connection)"
            )


def _driver(connection: object) -> str:
    packages = {kind.__module__.partition(".")[0] for kind in type(connection).__mro__}
    return next((name for name in ("psycopg", "pymysql") if name in packages), "")


def _in_postgres(connection: Any, statement: bytes, record: Record) -> bool | Awaitable[bool]:
    from psycopg import AsyncConnection, AsyncCursor, Cursor
    from psycopg.pq import TransactionStatus
    from psycopg.rows import tuple_row

    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise RuntimeError(AUTOCOMMIT.format(begin="with connection.transaction()"))
    row = (record.group, record.deduplication_id)
    if isinstance(connection, AsyncConnection):
        return _Answer(AsyncCursor(connection, row_factory=tuple_row), statement, row)
    with Cursor(connection, row_factory=tuple_row) as cursor:
        return cursor.execute(statement, row).fetchone() is not None


class _Answer(Awaitable[bool]):
    """The answer of an async connection; one that nobody awaits must not be read as yes."""

    def __init__(self, cursor: Any, statement: bytes, row: tuple[str, str]) -> None:
        self._cursor = cursor
        self._asked = (statement, row)

    def __await__(self) -> Generator[Any, None, bool]:
        return self._answer().__await__()

    def __bool__(self) -> bool:
        raise TypeError(
            "headrace.inbox: the connection is an async one, so the answer is awaited: await headrace.inbox(…)"
        )

    async def _answer(self) -> bool:
        async with self._cursor as cursor:
            await cursor.execute(*self._asked)
            return await cursor.fetchone() is not None


def _in_mysql(connection: Any, statement: str, record: Record) -> bool:
    from pymysql.constants import SERVER_STATUS
    from pymysql.err import IntegrityError

    if connection.get_autocommit() and not connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
        raise RuntimeError(AUTOCOMMIT.format(begin="connection.begin()"))
    with connection.cursor() as cursor:
        try:
            cursor.execute(statement, (record.group.encode(), record.deduplication_id.encode()))
        except IntegrityError as error:
            if error.args[:1] != (dialects.DUPLICATE,):
                raise
            return False
    return True
