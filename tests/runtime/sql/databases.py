"""A real PostgreSQL or MariaDB with an inbox and a table of effects, for tests that hold of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from headrace.sql import dialects
from headrace.sql.dialects import Dialect
from tests.mariadb_server import MariadbServer
from tests.postgres_server import PostgresServer

EFFECTS = "CREATE TABLE effects (message varchar(600) NOT NULL)"
WAITS = {
    Dialect.POSTGRESQL: "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
    Dialect.MYSQL: "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


@dataclass(frozen=True, kw_only=True)
class Database:
    """One empty database; ``connect`` opens it, in autocommit when told so; ``code`` is Python that does as well."""

    dialect: Dialect
    connect: Callable[..., Any]
    code: str

    def make(self, *, table: str = dialects.TABLE) -> None:
        """Make the inbox, by the very statements that the command prints, and the table of effects."""
        for statement in (*dialects.ddl(self.dialect, table).split(";\n"), EFFECTS):
            if statement.strip():
                self.run(statement)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own and return what it answers."""
        with closing(self.connect(autocommit=True)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def count(self, table: str) -> int:
        """Return how many rows a table has, of what is committed."""
        return int(self.run(f"SELECT count(*) FROM {table}")[0][0])

    def waits(self, count: int = 1) -> bool:
        """Say whether so many transactions wait for another one."""
        return int(self.run(WAITS[self.dialect])[0][0]) >= count


def postgres(server: PostgresServer) -> Database:
    """Return an empty database of a PostgreSQL."""
    url = server.create_database("inbox")
    return Database(
        dialect=Dialect.POSTGRESQL,
        connect=lambda autocommit=False: psycopg.connect(url, autocommit=autocommit),
        code=f"__import__('psycopg').connect({url!r})",
    )


def mariadb(server: MariadbServer) -> Database:
    """Return an empty database of a MariaDB."""
    name = server.create_database("inbox")
    return Database(
        dialect=Dialect.MYSQL,
        connect=lambda autocommit=False: server.connect(name, autocommit=autocommit),
        code=f"__import__('pymysql').connect(host='127.0.0.1', port={server.port}, user='root', database={name!r})",
    )
