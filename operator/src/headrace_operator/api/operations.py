"""What is asked of a Connector once, by an annotation with an id, and what its status says of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from headrace_operator.api.schema import Model

LONGEST_ID = 100
"""Characters of an id."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]


class Offset(Model):
    """How far one partition of a source was read, as Kafka Connect tells it; without an offset nothing of it was."""

    partition: dict[str, Any]
    offset: dict[str, Any] | None


class OffsetsRequest(Model):
    """What the annotation ``headrace.dev/offsets`` holds, as JSON."""

    kind: ClassVar[str] = "OffsetsRequest"

    id: Id
    action: Literal["reset", "set"]
    offsets: tuple[Offset, ...] | None = None

    @model_validator(mode="after")
    def _has_what_it_sets(self) -> OffsetsRequest:
        if (self.action == "set") != bool(self.offsets):
            raise ValueError("offsets belong to the action set, and to no other")
        return self


class SkipRequest(Model):
    """What the annotation ``headrace.dev/skip`` holds, as JSON: the row by the name that the failure gives it."""

    kind: ClassVar[str] = "SkipRequest"

    id: Id
    row: str


class Operation(Model):
    """One operation: what was asked, and what became of it."""

    id: str = Field(description="The id that it was asked with.")
    action: Literal["Restart", "ResetOffsets", "SetOffsets", "SkipRow"] = Field(description="What was asked.")
    phase: Literal["Stopping", "Changing", "Done", "Refused"] = Field(
        description="Stopping and Changing while it is under way; then Done, or Refused."
    )
    since: datetime = Field(description="When this phase began.")
    message: str = Field(description="What is being done, was done, or why it was not.")
    offsets: tuple[dict[str, Any], ...] | None = Field(None, description="The offsets to set.")
    previous: tuple[dict[str, Any], ...] | None = Field(
        None, description="The offsets that were committed before, saved before they were changed."
    )
    row: str | None = Field(None, description="The row of the outbox to pass by.")
    rows: tuple[str, ...] | None = Field(None, description="The rows of the outbox that are passed by, at most 100.")


class Operations(Model):
    """The last operation of each annotation."""

    restart: Operation | None = Field(None, description="What headrace.dev/restart asked for last.")
    offsets: Operation | None = Field(None, description="What headrace.dev/offsets asked for last.")
    skip: Operation | None = Field(None, description="What headrace.dev/skip asked for last, and all rows passed by.")
