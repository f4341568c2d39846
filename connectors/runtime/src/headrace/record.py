"""What a handler is given and what it may answer: the public part of the package.

It must not know Kafka's client, HTTP or how retries are done; handlers import nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, make_dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from headrace import changes, parsing

Headers = tuple[tuple[str, bytes | None], ...]
"""Headers as Kafka keeps them: in order, names may repeat, a value may be null."""

TimestampType = Literal["CreateTime", "LogAppendTime"]

REDRIVE_COUNT = "headrace.redrive-count"
MESSAGE_ID = "headrace.message-id"
ORIGINAL_TIMESTAMP = "kafka_dlt-original-timestamp"
MESSAGE_ID_HEADERS = ("ce_id", "id")
"""Where a producer's own message id is looked for: CloudEvents on Kafka first, then the outbox event router.

A header that the Consumer names (`delivery.messageIdHeader`) goes before them.

A dead letter and a retry record have them too, so the id is the same in every delivery."""

CORRELATION_ID = "correlation-id"
CORRELATION_ID_HEADERS = (
    CORRELATION_ID,
    "x-correlation-id",
    "correlationId",
    "ce_correlationid",
    "kafka_correlationId",
)
"""Where a producer's correlation id is looked for, in this order."""


class Reject(Exception):
    """Raised by a handler: this record can never be handled, dead-letter it at once; the text becomes the reason."""


class Retry(Exception):
    """Raised by a handler: try this record again; counts as an attempt."""

    def __init__(self, message: str = "", *, after: timedelta | float | None = None) -> None:
        """Ask for another attempt after ``after``, in seconds or a timedelta, at most the longest back-off.

        None, and what is no length of time (NaN, infinite, negative, text): after the back-off.
        """
        super().__init__(message)
        self.after = after


class Position(NamedTuple):
    """A place on Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One record and this attempt at it.

    ``topic``, ``partition``, ``offset`` say where it was read; ``origin`` says where it first was, when it came back
    through the retry topic. ``timestamp`` is in milliseconds since 1970 or None, ``attempt`` counts from 1.
    ``unreadable`` says what of it Kafka's client cannot read; no handler is given such a record. ``leader_epoch``
    is the number of the leader that wrote it, of all the partition has had; None where Kafka does not say it.
    ``group`` is the consumer group that reads it, which names the Consumer. ``id_header`` is the header that its
    Consumer says has the message id; empty where it names none. ``compensates``: it is the command to make good for a
    dead letter, which no handler is given. ``parked``: it came through the retry topic because its key was parked
    there.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None
    timestamp_type: TimestampType = "CreateTime"
    attempt: int = 1
    origin: Position | None = None
    unreadable: str | None = None
    leader_epoch: int | None = None
    group: str = ""
    id_header: str = ""
    compensates: bool = False
    parked: bool = False

    @property
    def source(self) -> Position:
        """Where the record first was: its source topic, also when it came through the retry topic."""
        return self.origin or Position(self.topic, self.partition, self.offset)

    @property
    def message_id(self) -> str:
        """What names this message in every delivery of it.

        Its producer's id, else the place in the database's log of a change that Debezium captured, which is the same
        where Debezium writes it again, else ``topic-partition-offset``. Printable text of at most 512 bytes, another
        one for each id: one that is no text is ``hex:…``, and one that is longer is ``digest:…``, its SHA-256.
        """
        return self._named or "{}-{}-{}".format(*self.source)

    @property
    def deduplication_id(self) -> str:
        """What a handled message is remembered by: ``message_id``, with the time it was written where that is a place.

        A topic made anew, or a log cut and written again, has other records at the same places. A tab parts the two,
        which no other id has.
        """
        return self._named or "{}-{}-{}\t{}".format(*self.source, self._written)

    @property
    def _named(self) -> str | None:
        """The id of its producer, or of the change it is; None where it has but its place."""
        names = (self.id_header, *MESSAGE_ID_HEADERS) if self.id_header else MESSAGE_ID_HEADERS
        produced = filter(None, map(self.header, names))
        named = next(produced, None) or changes.identity(self.key, self.value)
        return parsing.identifier(named) if named else None

    @property
    def _written(self) -> int | None:
        """When its source had it written, in milliseconds since 1970; None where that says nothing."""
        if not self.redriven:
            return self.timestamp
        return parsing.integer(self.header(ORIGINAL_TIMESTAMP))

    @property
    def correlation_id(self) -> str:
        """What joins all that one request caused: the producer's id where it is printable, else ``message_id``."""
        for name in CORRELATION_ID_HEADERS:
            value = self.header(name)
            if value and len(value) <= parsing.LONGEST_ID and value.isascii() and value.decode().isprintable():
                return value.decode()
        return self.message_id

    @property
    def redriven(self) -> int:
        """How often the record was put back from the dead letters."""
        return parsing.digits(self.header(REDRIVE_COUNT), most=parsing.INT32) or 0 if self.origin else 0

    def header(self, name: str) -> bytes | None:
        """Return the last value of header ``name``, or None."""
        for known, value in reversed(self.headers):
            if known == name:
                return value
        return None

    def text(self) -> str | None:
        """Return the value as text; None for a tombstone. Raises ``UnicodeDecodeError`` when it is not UTF-8."""
        return None if self.value is None else self.value.decode()

    def json(self) -> Any:
        """Return the value parsed as JSON; None for a tombstone. Raises ``ValueError`` when it is not JSON."""
        return None if self.value is None else json.loads(self.value)

    def key_text(self) -> str | None:
        """Return the key as text; None without a key. Raises ``UnicodeDecodeError`` when it is not UTF-8."""
        return None if self.key is None else self.key.decode()


Draft = make_dataclass("Draft", [(one.name, one.type) for one in fields(Record)], slots=True)
"""A record's fields while it is made, by name; `made` gives the record. A frozen class takes seven times as long."""


def made(draft: Any) -> Record:
    """Return the record that has the fields of ``draft``, which becomes it."""
    draft.__class__ = Record
    return draft  # type: ignore[no-any-return]
