"""The headers on retry records and dead letters: what Headrace adds to a record's own, and reads back.

Three vocabularies are written, so that other tools understand the record: the broker's names for dead letters
(KIP-1191, text), Spring for Apache Kafka's (``KafkaHeaders``, big-endian binary numbers) and our own ``headrace.``.
A record's own headers are data, also those that are called like ours: they come first and stay as they are, and only
what follows `FIRST` is read as ours. Pure: it must not produce, log or look at the clock. What it adds stays under
8 KB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace import parsing
from headrace.encoding import big_integer, cut, int32, int64, tail
from headrace.failure import Failure, Past, Reason, Traced
from headrace.parsing import INT32, INT64
from headrace.record import CORRELATION_ID, MESSAGE_ID, REDRIVE_COUNT, Headers, Position, Record

BROKER = "__dlq.errors."
SPRING = "kafka_dlt-"
SPRING_RETRY = "retry_topic-"
OWN = "headrace."
CRASHES, WORKER_CRASHES = f"{OWN}attempts.crash", f"{OWN}attempts.crash.worker"
"""How many of the attempts ended a process, and how many of those a worker process only."""

COMMAND, COMMAND_REASON, COMMAND_ERROR = f"{OWN}command", f"{OWN}command-reason", f"{OWN}command-error"
"""What a command is to do, and of the dead letter that it makes good for, why it was one and the error."""

COMPENSATE = b"compensate"

PARKED = f"{OWN}parked"
"""By whom a record was written to the retry topic because its key is parked there; a dead letter has all else, too."""

PARKS_KEY = f"{OWN}parks-key"
"""With a dead letter of a key that waits, by whom it was written: later records of the key follow the first one."""

SCHEMA_VERSION = b"1"
"""Of our own headers: it grows when one of them changes its meaning."""

NUMBERS = frozenset(
    {
        *(f"{SPRING}original-{what}" for what in ("partition", "offset", "timestamp")),
        *(f"{SPRING_RETRY}{what}" for what in ("attempts", "backoff-timestamp", "original-timestamp")),
    }
)
"""The headers that are big-endian numbers, in two's complement."""

FIRST = f"{BROKER}topic"
"""The first header we add: from its last occurrence on, headers with our prefixes are ours."""

ADDED_LIMIT = 8192
"""Bytes of names and values that Headrace adds to a record at most, the pointer of a letter without value included."""

MESSAGE_LIMIT, NAME_LIMIT, STACK_LIMIT, POINTER_ROOM = 1500, 256, 4096, 512
"""Bytes kept of an error's text, which is written twice, of every name and of a stack, which is given what is left."""

COMMAND_ERROR_LIMIT = 512

STACK = f"{SPRING}exception-stacktrace"
STATUS = 999


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """What the headers of a dead letter or retry record say; None where they do not, times in milliseconds."""

    origin: Position | None
    group: str | None
    timestamp: int | None
    timestamp_type: str | None
    attempts: int | None
    crashes: int
    worker_crashes: int
    message: str | None
    exception: str | None
    location: str | None
    reason: str | None
    status: int | None
    first_failed_at: int | None
    last_failed_at: int | None
    next_attempt_at: int | None
    message_id: str | None
    redrive_count: int
    redrive_id: str | None
    origin_traceparent: str | None
    unreadable: str | None
    compensates: bool
    command_reason: str | None
    command_error: str | None
    parked: bool
    parks_key: str | None

    @property
    def follows(self) -> bool:
        """Whether it did not fail, but waits behind the dead letter of its key."""
        return self.reason == Reason.KEY_PARKED


def for_dead_letter(record: Record, failure: Failure) -> Headers:
    """Return the headers of the dead letter of ``record``: its own unchanged, then ours; its first origin stays."""
    known = decode(record.headers) if record.origin else None
    traceparent = known.origin_traceparent if known else None
    if traceparent is None:
        traceparent = _name(record.header("traceparent"))
    own = original(record.headers) if known else record.headers
    ours = (
        *_broker(record.source, failure),
        *_spring(record, known, failure),
        *_ours(record, failure),
        *(_command(known.command_reason, known.command_error) if known and known.compensates else ()),
        *_trace(known, traceparent),
        *_correlation(own, record.correlation_id),
    )
    return (*own, *ours, *_stack(failure.traced, ADDED_LIMIT - POINTER_ROOM - _size(ours)))


def for_redrive(headers: Headers, *, redrive_id: str, now: float) -> Headers:
    """Return the headers of the retry record that puts back a dead letter with ``headers``; attempts start again.

    ``now`` is in seconds since 1970. The retry topic's headers are those Spring reads.
    """
    known = decode(headers)
    dropped = {
        PARKED,
        f"{OWN}attempts",
        CRASHES,
        WORKER_CRASHES,
        REDRIVE_COUNT,
        f"{OWN}redrive-id",
        f"{OWN}next-attempt-at",
    }
    own, ours = _parted(headers)
    kept = (item for item in ours if item[0] not in dropped and not item[0].startswith(SPRING_RETRY))
    millis = int(now * 1000)
    return (
        *own,
        *kept,
        (f"{SPRING_RETRY}attempts", int32(1)),
        (f"{SPRING_RETRY}backoff-timestamp", big_integer(millis)),
        (f"{SPRING_RETRY}original-timestamp", big_integer(known.timestamp or 0)),
        (f"{OWN}attempts", b"0"),
        (f"{OWN}next-attempt-at", b"%d" % millis),
        (REDRIVE_COUNT, b"%d" % (known.redrive_count + 1)),
        (f"{OWN}redrive-id", cut(redrive_id, NAME_LIMIT)),
    )


def for_command(letter: Headers) -> Headers:
    """Return the headers of the command to make good for a dead letter with the headers ``letter``.

    Those say what failed; its own attempts are counted anew, and what a failure of its own will write stands apart.
    """
    known = decode(letter)
    own, ours = _parted(letter)
    dropped = {f"{OWN}attempts", CRASHES, REDRIVE_COUNT, f"{OWN}redrive-id", STACK}
    return (
        *own,
        *(item for item in ours if item[0] not in dropped),
        *_command(known.reason, known.message),
        (f"{OWN}attempts", b"0"),
        (REDRIVE_COUNT, b"0"),
    )


def _command(reason: str | None, error: str | None) -> Headers:
    return (
        (COMMAND, COMPENSATE),
        (COMMAND_REASON, cut(reason or "", NAME_LIMIT)),
        (COMMAND_ERROR, cut(error or "", COMMAND_ERROR_LIMIT)),
    )


def for_parked(record: Record, group: str, past: Past, *, by: str) -> Headers:
    """Return the headers of ``record`` in the retry topic, where its key is parked: its own unchanged, then ours.

    ``by`` names the ownership of its partition in which it is written. Nobody has put it back: it has no redrive id.
    """
    attempts, crashes, workers, since, due = past
    millis = -1 if record.timestamp is None else record.timestamp
    return (
        *record.headers,
        *_broker_origin(record.source, group, attempts),
        *_spring_origin(record.source, group, millis, str(record.timestamp_type)),
        (f"{SPRING_RETRY}attempts", int32(attempts + 1)),
        (f"{SPRING_RETRY}backoff-timestamp", big_integer(due * 1000)),
        (f"{SPRING_RETRY}original-timestamp", big_integer(millis)),
        (f"{OWN}schema-version", SCHEMA_VERSION),
        (f"{OWN}attempts", b"%d" % attempts),
        *(((CRASHES, b"%d" % (crashes + workers)),) if crashes + workers else ()),
        *(((WORKER_CRASHES, b"%d" % workers),) if workers else ()),
        *(((f"{OWN}first-failed-at", b"%d" % (since * 1000)),) if since else ()),
        *(((f"{OWN}next-attempt-at", b"%d" % (due * 1000)),) if due else ()),
        *(((f"{OWN}unreadable", cut(record.unreadable, NAME_LIMIT)),) if record.unreadable else ()),
        (MESSAGE_ID, record.message_id.encode()),
        (REDRIVE_COUNT, b"0"),
        (PARKED, by.encode()),
    )


def original(headers: Headers) -> Headers:
    """Return the headers that the record had before Headrace added its own."""
    return _parted(headers)[0]


def added(headers: Headers) -> Headers:
    """Return the headers that Headrace added to the record's own."""
    return _parted(headers)[1]


def decode(headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter:
    """Read a dead letter's or retry record's headers; the last value of a name wins, what is unreadable is None.

    Where Headrace wrote none, all are looked at: it is a letter of somebody else.
    """
    own, ours = _parted(tuple(headers))
    last = {name: value for name, value in ours or own if value is not None}
    return DeadLetter(
        origin=_origin(last),
        group=_name(last.get(f"{BROKER}group")),
        timestamp=parsing.integer(last.get(f"{SPRING}original-timestamp"), least=-INT64),
        timestamp_type=_name(last.get(f"{SPRING}original-timestamp-type")),
        attempts=parsing.digits(last.get(f"{OWN}attempts") or last.get(f"{BROKER}delivery.count"), most=INT32),
        crashes=parsing.digits(last.get(CRASHES), most=INT32) or 0,
        worker_crashes=parsing.digits(last.get(WORKER_CRASHES), most=INT32) or 0,
        message=parsing.text(last.get(f"{BROKER}message"), MESSAGE_LIMIT),
        exception=_name(last.get(f"{SPRING}exception-fqcn")),
        location=_name(last.get(f"{OWN}exception-location")),
        reason=_name(last.get(f"{OWN}reason")),
        status=parsing.digits(last.get(f"{OWN}handler-status"), most=STATUS),
        first_failed_at=parsing.digits(last.get(f"{OWN}first-failed-at")),
        last_failed_at=parsing.digits(last.get(f"{OWN}last-failed-at")),
        next_attempt_at=parsing.digits(last.get(f"{OWN}next-attempt-at")),
        message_id=parsing.text(last.get(MESSAGE_ID), parsing.LONGEST_ID),
        redrive_count=parsing.digits(last.get(REDRIVE_COUNT), most=INT32) or 0,
        redrive_id=_name(last.get(f"{OWN}redrive-id")),
        origin_traceparent=_name(last.get(f"{OWN}origin-traceparent")),
        unreadable=_name(last.get(f"{OWN}unreadable")),
        compensates=last.get(COMMAND) == COMPENSATE,
        command_reason=_name(last.get(COMMAND_REASON)),
        command_error=parsing.text(last.get(COMMAND_ERROR), COMMAND_ERROR_LIMIT),
        parked=any(name == PARKED for name, _ in ours),
        parks_key=_name(last.get(PARKS_KEY)) if ours else None,
    )


def _parted(headers: Headers) -> tuple[Headers, Headers]:
    """Return the record's own headers and those that Headrace added to them."""
    names = [name for name, _ in headers]
    if FIRST not in names:
        return headers, ()
    start = len(names) - 1 - names[::-1].index(FIRST)
    later = tuple(item for item in headers[start:] if not _is_ours(item[0]))
    return headers[:start] + later, tuple(item for item in headers[start:] if _is_ours(item[0]))


def _broker(source: Position, failure: Failure) -> Headers:
    return (
        *_broker_origin(source, failure.group, failure.attempts),
        (f"{BROKER}message", cut(failure.message, MESSAGE_LIMIT)),
    )


def _broker_origin(source: Position, group: str, attempts: int) -> Headers:
    return (
        (FIRST, source.topic.encode()),
        (f"{BROKER}partition", b"%d" % source.partition),
        (f"{BROKER}offset", b"%d" % source.offset),
        (f"{BROKER}group", group.encode()),
        (f"{BROKER}delivery.count", b"%d" % attempts),
    )


def _spring(record: Record, known: DeadLetter | None, failure: Failure) -> Headers:
    timestamp, kind = record.timestamp, str(record.timestamp_type)
    if known and known.timestamp is not None:
        timestamp, kind = known.timestamp, known.timestamp_type or kind
    cause = failure.traced.cause if failure.traced else None
    return (
        *_spring_origin(record.source, failure.group, -1 if timestamp is None else timestamp, kind),
        (f"{SPRING}exception-fqcn", cut(failure.exception, NAME_LIMIT)),
        *(((f"{SPRING}exception-cause-fqcn", cut(cause, NAME_LIMIT)),) if cause else ()),
        (f"{SPRING}exception-message", cut(failure.message, MESSAGE_LIMIT)),
    )


def _spring_origin(source: Position, group: str, millis: int, kind: str) -> Headers:
    return (
        (f"{SPRING}original-topic", source.topic.encode()),
        (f"{SPRING}original-partition", int32(source.partition)),
        (f"{SPRING}original-offset", int64(source.offset)),
        (f"{SPRING}original-timestamp", int64(millis)),
        (f"{SPRING}original-timestamp-type", kind.encode()),
        (f"{SPRING}original-consumer-group", group.encode()),
    )


def _ours(record: Record, failure: Failure) -> Headers:
    status: Headers = () if failure.status is None else ((f"{OWN}handler-status", b"%d" % failure.status),)
    location = failure.traced.location if failure.traced else ""
    return (
        (f"{OWN}schema-version", SCHEMA_VERSION),
        (f"{OWN}attempts", b"%d" % failure.attempts),
        *(((CRASHES, b"%d" % failure.crashes),) if failure.crashes else ()),
        (f"{OWN}first-failed-at", b"%d" % int(failure.first_failed_at * 1000)),
        (f"{OWN}last-failed-at", b"%d" % int(failure.last_failed_at * 1000)),
        (f"{OWN}reason", failure.reason.encode()),
        *(((PARKS_KEY, failure.parks_key.encode()),) if failure.parks_key is not None else ()),
        *status,
        *(((f"{OWN}exception-location", tail(location, NAME_LIMIT)),) if location else ()),
        (MESSAGE_ID, record.message_id.encode()),
        (REDRIVE_COUNT, b"%d" % record.redriven),
    )


def _stack(traced: Traced | None, room: int) -> Headers:
    """Return the end of the stack, where the last frames are; nothing where there is no room for any of it."""
    limit = min(STACK_LIMIT, room - len(STACK))
    return ((STACK, tail(traced.stack, limit)),) if traced and traced.stack and limit > 0 else ()


def _trace(known: DeadLetter | None, traceparent: str | None) -> Headers:
    redrive = known.redrive_id if known else None
    return (
        *(((f"{OWN}redrive-id", cut(redrive, NAME_LIMIT)),) if redrive else ()),
        *(((f"{OWN}origin-traceparent", cut(traceparent, NAME_LIMIT)),) if traceparent else ()),
    )


def _correlation(own: Headers, found: str) -> Headers:
    """Return the header by which a record is found again in every log, unless it has one of its own: that stays."""
    return () if any(name == CORRELATION_ID for name, _ in own) else ((CORRELATION_ID, found.encode()),)


def _origin(last: dict[str, bytes]) -> Position | None:
    topic = parsing.topic(last.get(FIRST)) or parsing.topic(last.get(f"{SPRING}original-topic"))
    partition = _either(last, "partition", INT32)
    offset = _either(last, "offset", INT64)
    if topic is None or partition is None or offset is None:
        return None
    return Position(topic, partition, offset)


def _either(last: dict[str, bytes], name: str, most: int) -> int | None:
    """Return the broker's number of that name, else Spring's."""
    found = parsing.digits(last.get(f"{BROKER}{name}"), most=most)
    return parsing.integer(last.get(f"{SPRING}original-{name}"), most=most) if found is None else found


def _is_ours(name: str) -> bool:
    return name == CORRELATION_ID or name.startswith((BROKER, SPRING, SPRING_RETRY, OWN))


def _size(headers: Headers) -> int:
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)


def _name(value: bytes | None) -> str | None:
    return parsing.text(value, NAME_LIMIT)
