"""Snapshot: rows that a Connector's tables have already, read once more while it runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from headrace_operator.api.schema import Model, Name, Rule, Status
from headrace_operator.api.tables import Table
from headrace_operator.api.words import Refused, distinct, keyed

ONE_CONDITION = Refused(
    pattern=r";|--|/[*]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",
    message="a filter is one SQL condition, as it stands behind WHERE, without semicolons and comments",
)
OTHERS_TABLE = "a filter is for a table that is in tables"
BLOCKS = "only an incremental snapshot can be paused: leave paused out, or take type: Incremental"
FIXED = "its connector was asked for it, which is done once: make another Snapshot instead"
IS_ASKED = "has(self.status) && has(self.status.signal)"


def _fixed(field: str) -> Rule:
    now, before = f"self.spec.{field}", f"oldSelf.spec.{field}"
    same = f"has({now}) == has({before}) && (!has({now}) || {now} == {before})"
    return Rule(rule=f"!({IS_ASKED}) || ({same})", message=FIXED, field_path=f".spec.{field}")


class TableFilter(Model):
    """Read those rows of a table alone for which a condition holds."""

    table: Table = Field(description="The table, as it stands in tables.")
    where: Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(ONE_CONDITION)] = Field(
        description="The SQL condition, such as id > 1000; the database judges it with the Connector's login."
    )


class SnapshotSpec(Model):
    """What a user writes; all but paused is fixed once the connector is asked for it."""

    kind: ClassVar[str] = "Snapshot"

    connector: Name = Field(description="Name of the Connector whose tables are read.")
    tables: tuple[Table, ...] = Field(
        min_length=1, max_length=100, description="The tables, as schema.table; the Connector captures each of them."
    )
    type: Literal["Incremental", "Blocking"] | None = Field(
        None,
        description="How they are read: Incremental, in pieces between the changes that go on meanwhile, by the "
        "table's primary key; or Blocking, so that changes wait until it is done, which tables without a key need. "
        "Default: Incremental.",
    )
    filter: (
        Annotated[
            tuple[TableFilter, ...],
            Field(max_length=100, json_schema_extra=keyed("table")),
            AfterValidator(distinct("table")),
        ]
        | None
    ) = Field(None, description="Conditions by which rows are chosen, one for a table. Default: every row.")
    paused: bool | None = Field(
        None, description="Whether it rests, once begun or before; an Incremental one alone. Default: false."
    )

    fixed: ClassVar[tuple[Rule, ...]] = tuple(map(_fixed, ("connector", "tables", "type", "filter")))
    """Rules of the whole object, about an edit."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.filter) || self.filter.all(one, one.table in self.tables)",
            message=OTHERS_TABLE,
            field_path=".filter",
        ),
        Rule(
            rule="!has(self.paused) || !self.paused || !has(self.type) || self.type != 'Blocking'",
            message=BLOCKS,
            field_path=".paused",
        ),
    )

    @property
    def blocks(self) -> bool:
        """Whether changes wait until it is done."""
        return self.type == "Blocking"

    @property
    def each(self) -> tuple[str, ...]:
        """The tables, each once."""
        return tuple(dict.fromkeys(self.tables))

    @model_validator(mode="after")
    def _filters_what_it_reads(self) -> Self:
        if any(one.table not in self.tables for one in self.filter or ()):
            raise ValueError(OTHERS_TABLE)
        return self

    @model_validator(mode="after")
    def _pauses_what_can_be_paused(self) -> Self:
        if self.paused and self.blocks:
            raise ValueError(BLOCKS)
        return self


class TableRead(Model):
    """A table that was read."""

    name: str = Field(description="The table, as Debezium calls it.")
    result: str = Field(description="What became of it, in Debezium's word, such as SUCCEEDED or EMPTY.")
    rows: int | None = Field(None, description="Rows that were read, as far as Debezium tells.")


class Heard(Model):
    """How far the answers of the connector were read."""

    next: int = Field(description="Next offset to read in the topic of notifications.")
    at: datetime | None = Field(None, description="When the last notification about it was written.")


class Signal(Model):
    """What was sent to the connector."""

    connector: str = Field(description="UID of the Connector.")
    offset: int = Field(description="Offset in the topic of signals from which on it is.")
    since: datetime | None = Field(None, description="Since when an answer is awaited, the connector running.")
    again: bool | None = Field(None, description="Whether it was asked for once more, for tables it did not know.")
    asked: Literal["Pause", "Resume"] | None = Field(None, description="What was asked of it last.")
    asked_at: datetime | None = Field(None, description="When that was asked.")
    paused_at: datetime | None = Field(None, description="When it told that it rests.")


class SnapshotStatus(Status):
    """What Headrace observed."""

    id: str | None = Field(None, description="The id of its signals, by which logs and offsets name it.")
    phase: Literal["Pending", "Requested", "Running", "Paused", "Completed", "Failed"] | None = Field(
        None, description="How far it is."
    )
    tables_done: str | None = Field(None, description="Tables that are read, of all, such as 1/2.")
    tables: tuple[TableRead, ...] | None = Field(None, description="The tables that are read.")
    rows: int | None = Field(None, description="Rows of those tables, as far as Debezium tells.")
    started_at: datetime | None = Field(None, description="When the connector began.")
    completed_at: datetime | None = Field(None, description="When it was done, or had failed.")
    signal: Signal | None = Field(None, description="What was sent to the connector.")
    heard: Heard | None = Field(None, description="How far its answers were read.")
