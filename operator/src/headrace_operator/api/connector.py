"""Connector: one Debezium connector, from a database to topics."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from headrace_operator.api.operations import Operations
from headrace_operator.api.schema import ClusterName, Credentials, Model, Rule, Status
from headrace_operator.api.tables import Table
from headrace_operator.api.words import OneOf, Refused


class Postgres(Model):
    """A PostgreSQL database to capture, with logical replication on."""

    host: str = Field(min_length=1, max_length=253, description="Host name or address of the database.")
    port: int | None = Field(None, ge=1, le=65535, description="Port of the database. Default: 5432.")
    database: str = Field(
        min_length=1,
        max_length=63,
        description="Name of the database, without /, ?, % and +, which the driver would misread. Fixed once accepted.",
    )
    credentials: Credentials = Field(description="The Secret that holds user name and password.")
    slot: str | None = Field(
        None,
        pattern=r"^[a-z0-9_]{1,63}$",
        description="Replication slot, of this Connector alone, fixed once accepted. "
        "Default: made from namespace and name.",
    )
    publication: str | None = Field(
        None,
        pattern=r"^[a-z0-9_]{1,63}$",
        description="A publication of your own that publishes each captured table; it is never altered. "
        "Default: one made from namespace and name, which follows the captured tables.",
    )
    on_slot_lost: Literal["Halt", "Resnapshot"] | None = Field(
        None,
        description="What becomes of it once the slot is gone or lost, and changes with it: Halt, so that nothing goes "
        "on until somebody decides, or Resnapshot, so that all rows of its tables are read anew, by a new slot; "
        "handlers see them again, and rows that were deleted in between are not told of. Default: Halt.",
    )

    @property
    def resnapshots(self) -> bool:
        """Whether tables are read anew, by themselves, once their slot is lost."""
        return self.on_slot_lost == "Resnapshot"


COLUMNS = Refused(
    pattern=r"\$\{|[,:\x00-\x1f\x7f]",
    message="a column's name here has no comma, colon, line break or ${, which the router would read as something else",
)
Column = Annotated[str, AfterValidator(COLUMNS)]
"""The name of a column of the outbox table."""


class OutboxColumns(Model):
    """Names of the outbox table's columns, where they are not the router's defaults."""

    id: Column | None = Field(None, description="Column of the message id. Default: id.")
    route: Column | None = Field(None, description="Column that decides the topic. Default: aggregatetype.")
    key: Column | None = Field(None, description="Column of the record key. Default: aggregateid.")
    type: Column | None = Field(None, description="Column of the event type. Default: type.")
    payload: Column | None = Field(None, description="Column of the payload. Default: payload.")
    traceparent: Column | None = Field(None, description="Column of the W3C trace parent. Default: not captured.")


class Outbox(Model):
    """Capture an outbox table: each inserted row becomes one event."""

    table: Table = Field(description="The outbox table, as schema.table. Fixed once accepted.")
    columns: OutboxColumns | None = Field(None, description="Column names that differ from the router's defaults.")


class Capture(OneOf):
    """What to capture: exactly one of an outbox table and a list of tables."""

    choices: ClassVar[tuple[str, ...]] = ("outbox", "tables")
    asked: ClassVar[str] = "capture is"

    outbox: Outbox | None = Field(None, description="Capture an outbox table through the outbox event router.")
    tables: tuple[Table, ...] | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Capture each change of these tables, as schema.table: each the name of one table, no pattern. "
        "PostgreSQL refuses UPDATE and DELETE on one that has neither a primary key nor a replica identity: give it "
        "one before, such as ALTER TABLE schema.table REPLICA IDENTITY FULL, and each partition of a partitioned one.",
    )


RESERVED = r"^(retry|dlq|connect)([.]|$)"
"""How the topics begin that Headrace makes for Consumers and workers, whatever namespace they are of."""


class Topics(Model):
    """How captured topics are named and made."""

    prefix: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9._-]{1,150}$",
        description="Prefix of the topics, fixed once accepted; retry, dlq and connect begin none. Default: "
        "<namespace>.<name>.",
    )
    partitions: int | None = Field(None, ge=1, le=1000, description="Partitions of a new topic. Default: 12.")
    replication_factor: int | None = Field(
        None, ge=1, le=10, description="Copies of a new topic. Default: the broker's own."
    )
    max_record_bytes: int | None = Field(
        None,
        ge=1024,
        le=64 * 1024 * 1024,
        description="How large a record may be, in bytes with its key and headers: what is written, what the topics "
        "take, those that exist included, and how many rows are read at a time. Default: as Kafka has it, a megabyte.",
    )


class Restart(Model):
    """How failed tasks are restarted: with exponential back-off, at most two minutes apart."""

    max_attempts: int | None = Field(
        None, ge=0, le=1000, description="Restarts in a row before giving up until an edit. Default: no limit."
    )


NO_USE = "offsets that are kept are of no use without their slot: keep or delete both"
NAMED = "a slot that you named is never dropped: onDelete.slot is for one that Headrace names"


class OnDelete(Model):
    """What becomes of what belongs to the Connector once it is deleted."""

    offsets: Literal["Delete", "Keep"] | None = Field(
        None,
        description="How far its database was read, as Kafka Connect keeps it: Delete, so that a Connector made anew "
        "by this name begins with a snapshot, or Keep, so that it goes on from there. Default: Delete.",
    )
    slot: Literal["Delete", "Keep"] | None = Field(
        None,
        description="The replication slot, and the publication where Headrace made it: Delete, so that the source "
        "agent drops both, or Keep, so that you do, as the server keeps its log for the slot. Default: Keep.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.offsets) || !has(self.slot) || self.offsets != 'Keep' || self.slot != 'Delete'",
            message=NO_USE,
            field_path=".slot",
        ),
    )

    @model_validator(mode="after")
    def _keeps_a_slot_with_its_offsets(self) -> Self:
        if self.offsets == "Keep" and self.slot == "Delete":
            raise ValueError(NO_USE)
        return self


class ConnectorSpec(Model):
    """What a user writes."""

    kind: ClassVar[str] = "Connector"

    connect: ClusterName = Field(
        description="Name of the ConnectCluster that runs this connector. Fixed once accepted."
    )
    postgres: Postgres = Field(description="The PostgreSQL database to capture.")
    capture: Capture = Field(description="What to capture: exactly one of outbox and tables.")
    topics: Topics | None = Field(None, description="How captured topics are named and made.")
    config: dict[str, str] | None = Field(
        None,
        description="Extra connector properties, without passwords. They win over those Headrace sets, but for the "
        "connector's identity (class, name, database, slot, prefix of topics), which has fields, and the address and "
        "login of Kafka, which the KafkaConnection says.",
    )
    state: Literal["Running", "Paused", "Stopped"] | None = Field(
        None, description="What the connector should do: Running, Paused or Stopped. Default: Running."
    )
    restart: Restart | None = Field(None, description="How failed tasks are restarted.")
    on_delete: OnDelete | None = Field(
        None, description="What becomes of what belongs to the Connector once it is deleted."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.onDelete) || !has(self.onDelete.slot) || self.onDelete.slot != 'Delete'"
            " || !has(self.postgres.slot)",
            message=NAMED,
            field_path=".onDelete",
        ),
    )

    @model_validator(mode="after")
    def _drops_no_slot_of_the_users(self) -> Self:
        if self.on_delete is not None and self.on_delete.slot == "Delete" and self.postgres.slot is not None:
            raise ValueError(NAMED)
        return self


class Task(Model):
    """One task of the connector, as Kafka Connect reports it."""

    id: int = Field(description="Number of the task.")
    state: str = Field(
        description="State of the task, such as RUNNING or FAILED; of one that says it runs and cannot, too."
    )
    worker: str | None = Field(None, description="Worker that runs the task, as host:port.")
    error: str | None = Field(None, description="First line of the trace of a failed task, and its root cause.")


class Restarts(Model):
    """Restarts of failed tasks since the tasks last ran well."""

    attempts: int = Field(description="Restarts in a row.")
    last_time: datetime | None = Field(None, description="When a task was last restarted.")
    next_time: datetime | None = Field(None, description="When a failed task is restarted next.")
    reason: str | None = Field(None, description="What failed before the last restart, as its trace says.")
    offsets: tuple[dict[str, Any], ...] | None = Field(
        None,
        description="Source offsets right before the last restart: while they are the same, nothing was read since.",
    )
    cause: str | None = Field(None, description="What the last failure is a case of, such as Connection or SlotLost.")
    row: str | None = Field(None, description="The row of an outbox that the failure names, as URLs write its id.")


class TableUnread(Model):
    """A table that was added to a running Connector."""

    name: str = Field(description="The table, as schema.table.")
    since: datetime = Field(description="When it was added.")


class ConnectorStatus(Status):
    """What Headrace observed."""

    connector_name: str | None = Field(None, description="Name of the connector in Kafka Connect.")
    topic_prefix: str | None = Field(None, description="Prefix of the captured topics in force.")
    state: str | None = Field(None, description="State of the connector, such as RUNNING, PAUSED or FAILED.")
    tasks: tuple[Task, ...] | None = Field(None, description="The connector's tasks.")
    lag_seconds: int | None = Field(
        None, description="Commit time of the last change until Debezium read it; absent before the first change."
    )
    lag_bytes: int | None = Field(
        None, description="Bytes of the database's log beyond what the connector has committed, by the source agent."
    )
    system_identifier: str | None = Field(
        None, description="Which server is captured, as PostgreSQL identifies it: another one is refused."
    )
    prepared_generation: int | None = Field(
        None, description="Generation of the spec for which the database was seen to have what it needs."
    )
    defaults: dict[str, str] | None = Field(
        None, description="Properties that its ConnectCluster gives it (connectorDefaults), as they are in force."
    )
    unread: tuple[TableUnread, ...] | None = Field(
        None, description="Tables whose rows of before they were added were not read by any Snapshot yet."
    )
    signals: bool | None = Field(None, description="Whether the connector listens for Snapshots, once one was made.")
    snapshot_taken: bool | None = Field(None, description="Whether its first snapshot is done, by its offsets.")
    snapshot: str | None = Field(None, description="Id of the incremental snapshot that is under way, by its offsets.")
    tasks_ready: str | None = Field(None, description="Running tasks of all tasks, such as 1/1.")
    offsets: tuple[dict[str, Any], ...] | None = Field(
        None,
        description="Source offsets that Kafka Connect had committed when the status was last written.",
    )
    restarts: Restarts | None = Field(None, description="Restarts of failed tasks.")
    operations: Operations | None = Field(None, description="What annotations asked for last, and what became of it.")
    topics: tuple[str, ...] | None = Field(None, description="Topics that the connector has written to, the first 500.")
