"""The inbox as SQL: how its table is made, how a message gets into it, how old ones leave. Pure.

Ids are compared byte by byte: MySQL's collations take ids for one that differ in case, accents or spaces at the end.
"""

from __future__ import annotations

import re
from enum import StrEnum

TABLE = "headrace_inbox"
LONGEST_NAME = 48
"""Characters of a table's name, so that PostgreSQL does not cut that of its index, which is longer."""

_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}")


class Dialect(StrEnum):
    """Whose SQL; ``mysql`` is MariaDB's too."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


def ddl(dialect: Dialect, table: str) -> str:
    """Return the statements that make the table; raises ``ValueError`` for what is no name of one."""
    name = quoted(dialect, table)
    if dialect is Dialect.POSTGRESQL:
        return _POSTGRESQL.format(table=name, index=f'"{table.rpartition(".")[2]}_age"')
    return _MYSQL.format(table=name)


def insert(dialect: Dialect, table: str) -> str:
    """Return the statement that notes a message; it takes consumer and message id. Raises as `ddl` does.

    PostgreSQL answers with a row when the message is new; MySQL refuses one that is not (`DUPLICATE`).
    """
    into = f"INSERT INTO {quoted(dialect, table)} (consumer, message_id, received_at)"
    if dialect is Dialect.POSTGRESQL:
        return f"{into} VALUES (%s, %s, now()) ON CONFLICT DO NOTHING RETURNING 1"
    return f"{into} VALUES (%s, %s, UTC_TIMESTAMP(3))"


DUPLICATE = 1062
"""MySQL's error for a key that is there. ``INSERT IGNORE`` would hide the others too, such as an id that is cut."""


def purge(dialect: Dialect, table: str, days: int) -> str:
    """Return the statement that forgets messages older than so many days; raises as `ddl` does."""
    age = f"now() - interval '{days} days'"
    if dialect is Dialect.MYSQL:
        age = f"UTC_TIMESTAMP(3) - INTERVAL {days} DAY"
    return f"DELETE FROM {quoted(dialect, table)} WHERE received_at < {age};\n"


def quoted(dialect: Dialect, table: str) -> str:
    """Return ``table``, or ``schema.table``, as the dialect quotes it; raises ``ValueError`` for anything else."""
    parts = table.split(".")
    if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
        rule = f"letters, digits and _, at most {LONGEST_NAME} characters, as in {TABLE} or shop.inbox"
        raise ValueError(f"{table!r} is no name of an inbox table: {rule}")
    return marked(dialect, table)


def marked(dialect: Dialect, table: str) -> str:
    """Return a name that was judged before as the dialect quotes it."""
    mark = '"' if dialect is Dialect.POSTGRESQL else "`"
    return ".".join(f"{mark}{part}{mark}" for part in table.split("."))


_POSTGRESQL = """\
CREATE TABLE IF NOT EXISTS {table} (
    consumer    text        NOT NULL,
    message_id  text        NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, message_id)
);
CREATE INDEX IF NOT EXISTS {index} ON {table} USING brin (received_at);
"""

_MYSQL = """\
CREATE TABLE IF NOT EXISTS {table} (
    consumer    VARBINARY(255) NOT NULL,
    message_id  VARBINARY(512) NOT NULL,
    received_at DATETIME(3)    NOT NULL,
    PRIMARY KEY (consumer, message_id),
    KEY received_at (received_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
"""
