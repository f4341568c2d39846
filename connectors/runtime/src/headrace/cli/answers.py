"""What the errand pod answers, one JSON document a line, and how a line becomes an answer again.

A log mixes both output streams, so a line that is not an answer is none and may be shown as it is. Pure: it must not
print or read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from headrace.letters.reading import Letter, Opened


class Answer(BaseModel):
    """One line of the errand pod; ``headrace`` tells the kinds apart."""

    model_config = ConfigDict(frozen=True)


class Listed(Answer):
    """One outstanding dead letter."""

    headrace: Literal["letter"] = "letter"
    letter: Letter


class Found(Answer):
    """One dead letter, opened."""

    headrace: Literal["opened"] = "opened"
    opened: Opened


class Planned(Answer):
    """What a redrive would do, or is about to."""

    headrace: Literal["plan"] = "plan"
    selected: int
    outstanding: int
    keys: int
    reasons: dict[str, int]


class Progress(Answer):
    """How far it is; ``done`` of ``total`` are safe in Kafka."""

    headrace: Literal["progress"] = "progress"
    done: int
    total: int


class Failed(Answer):
    """It could not be done; the fields are those of ``headrace.cli.failure.Failure``."""

    headrace: Literal["failed"] = "failed"
    exit_code: int
    what: str
    remedy: str


class Done(Answer):
    """The last line of an errand that went well; ``count`` of what was asked for in all."""

    headrace: Literal["done"] = "done"
    count: int


Line = Annotated[Listed | Found | Planned | Progress | Failed | Done, Field(discriminator="headrace")]
_LINE: TypeAdapter[Listed | Found | Planned | Progress | Failed | Done] = TypeAdapter(Line)


def encode(answer: Answer) -> str:
    """Return ``answer`` as one line of text."""
    return answer.model_dump_json(by_alias=True)


def decode(line: str) -> Listed | Found | Planned | Progress | Failed | Done | None:
    """Return the answer in ``line``, or None when it is something else that was logged."""
    if not line.startswith('{"headrace":'):
        return None
    try:
        return _LINE.validate_json(line)
    except ValidationError:
        return None
