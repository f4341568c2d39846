"""The outbox and its leases as SQL, with the index that the relay reads by. Pure.

Columns have the names that the relay takes when it is told no others.
"""

from __future__ import annotations

import re

from headrace import outbox
from headrace.relay.statements import LEASES
from headrace.sql.dialects import Dialect, marked

TABLE = "outbox"


def ddl(dialect: Dialect, table: str) -> str:
    """Return the statements that make both tables; raises ``ValueError`` for what is no name of one."""
    if not re.fullmatch(outbox.TABLE, table):
        rule = f"TABLE or SCHEMA.TABLE, without quotes and %, of at most {outbox.LONGEST_TABLE} characters"
        raise ValueError(f"{table!r} is no name of an outbox table: {rule}")
    names = {"table": marked(dialect, table), "leases": marked(dialect, table + LEASES)}
    bare = table.rpartition(".")[2]
    if dialect is Dialect.POSTGRESQL:
        return _POSTGRESQL.format(**names, waiting=f'"{bare}_waiting"', done=f'"{bare}_done"')
    return _MYSQL.format(**names)


_POSTGRESQL = """\
CREATE TABLE IF NOT EXISTS {table} (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    messageId   uuid        NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    messageType text        NOT NULL,
    messageKey  text,
    topic       text,
    payload     text,
    traceparent text,
    status      varchar(9)  NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'PROCESSED', 'FAILED')),
    failCount   integer     NOT NULL DEFAULT 0,
    lastError   text,
    occurredAt  timestamptz NOT NULL DEFAULT now(),
    processedAt timestamptz
);
CREATE INDEX IF NOT EXISTS {waiting} ON {table} (status, id) WHERE status <> 'PROCESSED';
CREATE INDEX IF NOT EXISTS {done} ON {table} (processedAt) WHERE status = 'PROCESSED';
CREATE TABLE IF NOT EXISTS {leases} (
    name        varchar(160) PRIMARY KEY,
    holder      varchar(160) NOT NULL,
    until       timestamptz  NOT NULL
);
"""

_MYSQL = """\
CREATE TABLE IF NOT EXISTS {table} (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    messageId   CHAR(36)     NOT NULL UNIQUE DEFAULT (UUID()),
    messageType VARCHAR(249) NOT NULL,
    messageKey  VARCHAR(512),
    topic       VARCHAR(249),
    payload     LONGTEXT,
    traceparent VARCHAR(64),
    status      VARCHAR(9)   NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'PROCESSED', 'FAILED')),
    failCount   INT          NOT NULL DEFAULT 0,
    lastError   TEXT,
    occurredAt  TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    processedAt TIMESTAMP(6) NULL,
    KEY waiting (status, id),
    KEY done (status, processedAt)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS {leases} (
    name        VARCHAR(160) NOT NULL PRIMARY KEY,
    holder      VARCHAR(160) NOT NULL,
    until       DATETIME(6)  NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
"""
