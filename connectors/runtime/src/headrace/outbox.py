"""The contract of a relay: the operator, or a person, writes it into a file, and ``headrace relay`` reads it and tells.

It must not know either side: no I/O beyond parsing the text it is given, no database, no Kafka client.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.config import Document, Kafka, Seconds, Tls

PATH = "/etc/headrace/config/relay.json"
"""Where a relay's pod finds this document; the environment variable ``HEADRACE_CONFIG`` names another place."""

STANDING = "/standing"
"""Where on its port a relay's pod answers with `Told`."""

DATABASE_CREDENTIALS = "/etc/headrace/database"
"""Where a relay's pod finds the mounted credentials of its database."""

PENDING, PROCESSED, FAILED = "PENDING", "PROCESSED", "FAILED"
"""What a row's status says: to be published, acknowledged by Kafka, given up."""

LONGEST_TABLE = 48
"""Characters of a table's name, so that no database cuts those of its index and of the leases' table."""

TABLE = rf"^([^.\x00\"`%]{{1,63}}\.)?[^.\x00\"`%]{{1,{LONGEST_TABLE}}}$"
"""A table, as TABLE or SCHEMA.TABLE, each in the database's own letters."""

Column = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[^\x00\"`%]+$")]


class Database(Document):
    """Where the outbox is; ``mysql`` is MariaDB's too. User name and password are files, never values."""

    dialect: Literal["postgresql", "mysql"]
    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65_535)
    name: str = Field(min_length=1)
    username_file: str = f"{DATABASE_CREDENTIALS}/username"
    password_file: str = f"{DATABASE_CREDENTIALS}/password"
    tls: Tls | None = None


class Columns(Document):
    """What the columns are called; a name is found in the table whatever its case, where it is the only one.

    The last four may be missing: without ``key`` nothing is ordered; where ``topic`` is missing, NULL or empty, the
    type decides it. One that is None has the name that is its field's, where the table has such a column; one that is
    named must be there.
    """

    id: Column = "id"
    message_id: Column = "messageId"
    message_type: Column = "messageType"
    payload: Column = "payload"
    status: Column = "status"
    fail_count: Column = "failCount"
    occurred_at: Column = "occurredAt"
    processed_at: Column = "processedAt"
    key: Column | None = None
    topic: Column | None = None
    traceparent: Column | None = None
    last_error: Column | None = None


OPTIONAL = {"key": "messageKey", "topic": "topic", "traceparent": "traceparent", "last_error": "lastError"}
"""What the columns that may be missing are called where no name was given."""


class Backoff(Document):
    """How a row that Kafka refuses is tried again: ``attempts`` in all, waits in seconds that double up to ``max``."""

    attempts: int = Field(10, ge=1)
    initial: Seconds = 1.0
    max: Seconds = 300.0


class Relay(Document):
    """Everything a relay's process needs to know.

    The topic of a row is ``topic_prefix`` and its route. ``interval`` in seconds between looks that find nothing;
    ``lease`` in seconds after which another replica goes on where one has died; processed rows are deleted after
    ``retention`` seconds, None: never.
    """

    namespace: str
    relay: str
    pipeline: str
    kafka: Kafka
    database: Database
    table: str = Field(pattern=TABLE)
    columns: Columns = Columns()
    topic_prefix: str = ""
    batch: int = Field(500, ge=1, le=10_000)
    interval: Seconds = 1.0
    retry: Backoff = Backoff()
    lease: float = Field(20.0, ge=10, le=600)
    retention: float | None = Field(None, gt=0, allow_inf_nan=False)

    @property
    def patience(self) -> float:
        """Seconds that the database has for a statement: five of them fit into a lease."""
        return self.lease / 5


class Told(Document):
    """How one pod of a relay stands: what is in its way, in sentences, and what it last counted of the whole table.

    ``oldest`` is the age of the first pending row in seconds, 0 where none is pending. Until the first count, which
    fails with the database, nobody knows.
    """

    database: str | None = None
    kafka: str | None = None
    rows: str | None = None
    pending: int | None = None
    failed: int | None = None
    oldest: float | None = Field(None, allow_inf_nan=False)


def load(text: str) -> Relay:
    """Read the contract from JSON ``text``; raises ``pydantic.ValidationError`` naming the field."""
    return Relay.model_validate_json(text)


def dump(relay: Relay) -> str:
    """Write ``relay`` as stable JSON: equal contracts give equal text."""
    return relay.model_dump_json(indent=2)
