"""The inbox in real databases: a message takes effect once, whatever becomes of the transactions."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pymysql
import pytest
from psycopg.rows import class_row

import headrace
from headrace.record import Record
from headrace.sql import dialects
from headrace.sql.dialects import Dialect
from tests.mariadb_server import MariadbServer
from tests.postgres_server import PostgresServer
from tests.runtime.sql import databases
from tests.runtime.sql.databases import Database
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


def record(message: bytes = b"m-1", group: str = "headrace.shop.billing") -> Record:
    """Return a record with this message id."""
    return Record(topic="orders", partition=0, offset=1, key=b"k", value=b"{}", headers=(("id", message),), group=group)


def take(connection: Any, what: Record, table: str = dialects.TABLE) -> bool:
    """Make the effect of a record in the open transaction, if it is new."""
    if not headrace.inbox(connection, what, table=table):
        return False
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO effects VALUES (%s)", (what.message_id,))
    return True


def test_a_message_takes_effect_once(database: Database) -> None:
    """However often it comes, and in as many transactions."""
    found = []
    for _ in range(3):
        with closing(database.connect()) as connection:
            found.append(take(connection, record()))
            connection.commit()

    assert found == [True, False, False]
    assert database.count("effects") == 1


def test_another_record_at_the_same_place_takes_effect(database: Database) -> None:
    """As after a topic was made anew; the same record does not."""
    written = [replace(record(), headers=(), timestamp=at) for at in (1000, 1000, 2000, None, None)]
    with closing(database.connect()) as connection:
        assert [take(connection, one) for one in written] == [True, False, True, True, False]
        connection.commit()


def test_an_effect_that_fails_leaves_no_message_behind(database: Database) -> None:
    """What is rolled back comes again and is new."""
    with closing(database.connect()) as connection:
        assert take(connection, record())
        connection.rollback()
        assert take(connection, record())
        connection.commit()

    assert (database.count("effects"), database.count(dialects.TABLE)) == (1, 1)


def test_consumers_share_a_table(database: Database) -> None:
    """Each takes a message once."""
    with closing(database.connect()) as connection:
        found = [take(connection, record(group=f"headrace.shop.{name}")) for name in ("billing", "mail", "billing")]
        connection.commit()

    assert found == [True, True, False]


ALIKE = (
    b"m",
    b"M",
    "é".encode(),
    "e\u0301".encode(),
    b"e",
    b"m ",
    b" m",
    b"\xff\xfe",
    b"hex:fffe",
    b"x" * 512,
    b"x" * 511,
)


def test_ids_that_look_alike_are_different(database: Database) -> None:
    """Case, accents, spaces at the end: no collation takes two messages for one, and no id is cut."""
    with closing(database.connect()) as connection:
        assert [take(connection, record(one)) for one in ALIKE] == [True] * len(ALIKE)
        assert [take(connection, record(one)) for one in ALIKE] == [False] * len(ALIKE)


@pytest.mark.parametrize("first_commits", [True, False])
def test_two_at_once_take_turns(database: Database, first_commits: bool) -> None:
    """The second delivery waits for the first one's transaction, and then knows whether it took effect."""
    found: list[bool] = []

    def second() -> None:
        with closing(database.connect()) as connection:
            found.append(take(connection, record()))
            connection.commit()

    with closing(database.connect()) as connection:
        assert take(connection, record())
        other = threading.Thread(target=second)
        other.start()
        until("the second to wait", database.waits)
        assert not found
        connection.commit() if first_commits else connection.rollback()
        other.join(PATIENCE)

    assert found == [not first_commits]
    assert database.count("effects") == 1


def test_of_three_at_once_one_takes_effect(database: Database) -> None:
    """The first is rolled back: MariaDB may end one of the two that waited as a deadlock, which comes again."""
    found: list[bool | Exception] = []

    def later() -> None:
        with closing(database.connect()) as connection:
            try:
                found.append(take(connection, record()))
                connection.commit()
            except (psycopg.Error, pymysql.err.MySQLError) as error:
                found.append(error)

    others = [threading.Thread(target=later) for _ in range(2)]
    with closing(database.connect()) as connection:
        assert take(connection, record())
        for other in others:
            other.start()
        until("the two to wait", lambda: database.waits(2))
        connection.rollback()
        for other in others:
            other.join(PATIENCE)

    assert found.count(True) == database.count("effects") == 1
    (other_one,) = [one for one in found if one is not True]
    deadlock = 1213
    assert other_one is False or (isinstance(other_one, pymysql.err.OperationalError) and deadlock in other_one.args)


def test_a_connection_that_commits_by_itself_is_refused(database: Database) -> None:
    """The message would count as handled though its effect fails."""
    refused = pytest.raises(RuntimeError, match=r"autocommit[^.]*[.] Turn autocommit off, or begin a transaction first")
    with closing(database.connect(autocommit=True)) as connection, refused:
        headrace.inbox(connection, record())
    assert database.count(dialects.TABLE) == 0


def test_a_transaction_begun_in_spite_of_autocommit_will_do(database: Database) -> None:
    """What counts is whether there is one."""
    with closing(database.connect(autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        assert take(connection, record())
        cursor.execute("ROLLBACK")
    assert (database.count("effects"), database.count(dialects.TABLE)) == (0, 0)


def test_a_table_of_another_name_will_do(database: Database) -> None:
    """In a schema, too."""
    database.run("CREATE SCHEMA IF NOT EXISTS elsewhere")
    for statement in dialects.ddl(database.dialect, "elsewhere.Seen").split(";\n"):
        if statement.strip():
            database.run(statement)
    with closing(database.connect()) as connection:
        assert [take(connection, record(), "elsewhere.Seen") for _ in range(2)] == [True, False]
        connection.rollback()
    database.run("DROP SCHEMA elsewhere" + (" CASCADE" if database.dialect is Dialect.POSTGRESQL else ""))


def test_the_table_may_be_made_again_and_purged(database: Database) -> None:
    """What the command prints is run as it is: the second time changes nothing, and old messages alone leave."""
    with closing(database.connect()) as connection:
        for message in (b"old", b"new"):
            take(connection, record(message))
        connection.commit()
    old = datetime.now(UTC) - timedelta(days=30, minutes=5)
    database.run(f"UPDATE {dialects.TABLE} SET received_at = '{old:%Y-%m-%d %H:%M:%S}' WHERE message_id = 'old'")

    database.run(dialects.ddl(database.dialect, dialects.TABLE).partition(";\n")[0])
    database.run(dialects.purge(database.dialect, dialects.TABLE, 31))
    assert database.count(dialects.TABLE) == 2
    database.run(dialects.purge(database.dialect, dialects.TABLE, 30))

    with closing(database.connect()) as connection:
        assert [take(connection, record(message)) for message in (b"old", b"new")] == [True, False]


def test_a_failed_transaction_of_postgresql_fails_the_attempt(postgres_server: PostgresServer) -> None:
    """PostgreSQL takes nothing in it any more; the record comes again, and is new."""
    database = databases.postgres(postgres_server)
    database.make()
    with closing(database.connect()) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nowhere")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            headrace.inbox(connection, record())
        connection.rollback()
        assert take(connection, record())


def test_a_failed_statement_of_mariadb_leaves_its_transaction_as_it_was(mariadb_server: MariadbServer) -> None:
    """MariaDB goes on in it: what is committed is message and effect together."""
    database = databases.mariadb(mariadb_server)
    database.make()
    with closing(database.connect()) as connection:
        with pytest.raises(pymysql.err.ProgrammingError), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nowhere")
        assert take(connection, record())
        connection.commit()
    assert (database.count("effects"), database.count(dialects.TABLE)) == (1, 1)


def test_an_id_that_does_not_fit_is_an_error(mariadb_server: MariadbServer) -> None:
    """A table made by hand with too short a column must not take two messages for one."""
    database = databases.mariadb(mariadb_server)
    database.make()
    database.run(f"ALTER TABLE {dialects.TABLE} MODIFY message_id VARBINARY(3) NOT NULL")
    with closing(database.connect()) as connection, pytest.raises(pymysql.err.DataError):
        headrace.inbox(connection, record(b"long-1"))


def test_repeatable_read_makes_the_second_come_again(postgres_server: PostgresServer) -> None:
    """PostgreSQL tells it that it cannot know: the attempt fails, and the next one knows."""
    database = databases.postgres(postgres_server)
    database.make()
    with closing(database.connect()) as first, closing(database.connect()) as second:
        second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        second.execute("SELECT 1 FROM effects")
        assert take(first, record())
        first.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            headrace.inbox(second, record())
        second.rollback()
        assert not headrace.inbox(second, record())


async def test_an_async_connection_is_awaited(postgres_server: PostgresServer) -> None:
    """As the effect is; who forgets to await is told, and never takes it for yes."""
    database = databases.postgres(postgres_server)
    database.make()
    url = postgres_server.url("inbox")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        with pytest.raises(TypeError, match="await headrace"):
            bool(headrace.inbox(connection, record()))
        assert await headrace.inbox(connection, record())
        assert not await headrace.inbox(connection, record())
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        with pytest.raises(RuntimeError, match="autocommit"):
            await headrace.inbox(connection, record(b"m-2"))
        async with connection.transaction():
            assert await headrace.inbox(connection, record(b"m-2"))
    assert database.count(dialects.TABLE) == 2


def test_it_does_not_matter_how_the_handler_reads_rows(postgres_server: PostgresServer) -> None:
    """A row factory of the connection is the handler's own; a pipeline answers too."""
    database = databases.postgres(postgres_server)
    database.make()
    with psycopg.connect(postgres_server.url("inbox"), row_factory=class_row(Record)) as connection:
        connection.cursor_factory = psycopg.RawCursor
        with connection.pipeline():
            assert [headrace.inbox(connection, record()) for _ in range(2)] == [True, False]
