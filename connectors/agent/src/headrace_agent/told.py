"""What an agent answers about its sources (``GET /sources``): facts with the time of the look, and no judgement.

A fact is `Seen`, or `Unknown` with the reason why; ``Seen`` with the value None is what was looked for, and is not
there. It must not know either side: no I/O beyond parsing the text it is given, no Kubernetes, no database.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from headrace_agent.declared import Operation

VERSION: Literal[1] = 1
"""The version of this schema. A new one is needed once a reader of the old one would misread what is written."""


class Document(BaseModel):
    """A part of the answer: frozen, and strict about unknown keys so that a version skew is seen at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Value = TypeVar("Value")


class Seen(Document, Generic[Value]):
    """What the last look saw."""

    state: Literal["Seen"] = "Seen"
    value: Value


Cause = Literal[
    "NotLooked", "SecretMissing", "HostUnknown", "NotReached", "TlsRefused", "LoginRefused", "RightMissing", "Refused"
]
"""Why a fact is unknown.

``NotLooked``: no look has ended yet. ``SecretMissing``: a mounted file is not there, or cannot be read.
``HostUnknown``: the name has no address. ``NotReached``: no connection, it broke, or no answer within the deadline.
``TlsRefused``: no encryption, or a certificate that is not trusted. ``LoginRefused``: user, password, database or
pg_hba.conf. ``RightMissing``: logged in, and not allowed to. ``Refused``: anything else that the server said.
"""


class Unknown(Document):
    """What the last look could not see: its ``cause``, and one sentence ``why`` for people, without any secret."""

    state: Literal["Unknown"] = "Unknown"
    cause: Cause
    why: str


class Login(Document):
    """Who is logged in, and what that role may do: as superuser, or as a member of a role that may."""

    user: str
    superuser: bool
    replication: bool
    creates_in_database: bool
    encrypted: bool


class Server(Document):
    """The server and its settings; ``system_identifier`` is one for each cluster of data, None where unreadable.

    Slots and senders are how many there may be, and how many are taken. ``max_slot_wal_keep_bytes`` is None without a
    limit. ``in_recovery``: it is a standby.
    """

    version: str
    version_number: int
    system_identifier: str | None
    in_recovery: bool
    wal_level: str
    max_slots: int
    slots: int
    max_senders: int
    senders: int
    max_slot_wal_keep_bytes: int | None
    wal_segment_bytes: int


class Relation(Document):
    """What has the name of a captured table; ``oid`` is another one once it was made anew.

    ``selectable``: the login may read it. ``owned``: it may put it into a publication. ``primary_key`` has the columns
    in order. ``unidentified``: the table, or those of its partitions, of which UPDATE and DELETE are refused once they
    are published, as they have neither a primary key nor another replica identity (100 at most). ``rows`` is the
    planner's estimate, None before the first one. ``published``: the publication has it, by itself, by its schema or by
    its root; None when the publication is unknown or not there.
    """

    oid: int
    kind: Literal["Table", "PartitionedTable", "View", "MaterializedView", "ForeignTable", "Other"]
    unlogged: bool
    partition: bool
    owner: str
    owned: bool
    selectable: bool
    primary_key: tuple[str, ...]
    replica_identity: Literal["Default", "Nothing", "Full", "Index"]
    unidentified: tuple[str, ...]
    rows: int | None
    published: bool | None


class Table(Document):
    """A declared table, and what of that name there is: None when there is nothing."""

    name: str
    relation: Relation | None


class Publication(Document):
    """A publication: whose it is, and what it publishes. ``owned``: the login may alter it.

    ``tables`` are those that it publishes now, as ``schema.table``, also by schema (1000 at most, ``table_count`` in
    all); ``filtered`` are those with a row filter or a list of columns.
    """

    name: str
    owner: str
    owned: bool
    all_tables: bool
    operations: tuple[Operation, ...]
    via_partition_root: bool
    tables: tuple[str, ...]
    table_count: int
    filtered: tuple[str, ...]


class Slot(Document):
    """A replication slot. Positions are WAL addresses as PostgreSQL writes them, such as ``0/16B3748``.

    ``wal_status``, ``invalidation_reason`` (from PostgreSQL 17 on) and ``plugin`` are the server's own words.
    ``retained_bytes`` of WAL are kept for it; ``unconfirmed_bytes`` its reader has not confirmed; ``safe_bytes`` more
    may be written until it is lost, None without a limit. ``growth`` is bytes retained more per second, over the last
    ten minutes at most, None before the second look; ``hours_left`` until it is lost at that growth, None while it does
    not grow or has no limit.
    """

    name: str
    plugin: str | None
    database: str | None
    active: bool
    temporary: bool
    wal_status: str | None
    invalidation_reason: str | None
    restart_position: str | None
    confirmed_position: str | None
    retained_bytes: int | None
    unconfirmed_bytes: int | None
    safe_bytes: int | None
    growth: float | None
    hours_left: float | None

    @property
    def lost(self) -> str | None:
        """The server's word for a slot of which nothing can be read any more; None for any other."""
        return self.invalidation_reason or (self.wal_status if self.wal_status == "lost" else None)


class Position(Document):
    """The server's own WAL position, as PostgreSQL writes it, and as the number that Debezium's offsets have."""

    lsn: str
    number: int


class Heartbeat(Document):
    """The newest heartbeat that this agent wrote, and when the newest one was written that the slot's reader confirmed.

    ``confirmed_at`` is None until the first one is; Debezium confirms as often as Kafka Connect commits its offsets.
    """

    at: AwareDatetime
    age: float = Field(description="Seconds at the time of the look.")
    position: str
    confirmed_at: AwareDatetime | None


class Deed(Document):
    """What the agent last did, or tried, to keep what is declared: the statement, and why it failed, if it did."""

    kind: Literal["MakePublication", "AlterPublication", "DropPublication", "DropSlot", "Beat"]
    at: AwareDatetime
    statement: str
    failure: Unknown | None


class Postgres(Document):
    """What was seen of one PostgreSQL source; ``name`` is that of its Connector.

    ``looked_at`` is when the last look ended, None before the first. Without a login all other facts are unknown, for
    the same reason. Each of ``deeds`` is the newest of its kind since the agent's start.
    """

    engine: Literal["postgres"] = "postgres"
    name: str
    looked_at: AwareDatetime | None
    login: Seen[Login] | Unknown
    server: Seen[Server] | Unknown
    tables: Seen[tuple[Table, ...]] | Unknown
    publication: Seen[Publication | None] | Unknown
    slot: Seen[Slot | None] | Unknown
    position: Seen[Position] | Unknown
    heartbeat: Seen[Heartbeat | None] | Unknown
    deeds: tuple[Deed, ...]


class Told(Document):
    """All that an agent tells; ``declaration`` is the `declared.digest` of what it was told to look at."""

    version: Literal[1] = VERSION
    declaration: str
    sources: tuple[Postgres, ...]


def load(text: str | bytes) -> Told:
    """Read an agent's answer from JSON ``text``; raises ``pydantic.ValidationError`` naming the field."""
    return Told.model_validate_json(text)


def dump(told: Told) -> str:
    """Write ``told`` as JSON."""
    return told.model_dump_json()
