"""What a message of Kafka's client carries, as our own types; whatever it carries, nothing in here raises."""

from __future__ import annotations

from dataclasses import replace
from operator import methodcaller

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from headrace import headers
from headrace.record import Draft, Headers, Record, made

UNREADABLE = "the name of one of its headers is not UTF-8, and Kafka's client then reads none of them"

_ask = methodcaller("headers")


def headers_of(message: Message) -> Headers | None:
    """Return the headers of ``message``; None when they cannot be read. Ask once only.

    For a name that is not UTF-8 the client answers with a list that has holes, and leaves an exception behind. Python
    sees that, as SystemError, where the call goes through a function in C; the interpreter's own fast call does not
    look, and the exception would come up somewhere later. A second call answers with the holes alone.
    """
    try:
        return tuple(_ask(message) or ())
    except (SystemError, UnicodeDecodeError):
        return None


def timestamp_of(message: Message) -> int | None:
    """Return when the record was written, in milliseconds since 1970; None where it does not say."""
    kind, milliseconds = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else int(milliseconds)


def record_of(message: Message, retry: str, group: str = "", id_header: str = "") -> Record:
    """Return what ``message`` carries to ``group``; where it first was, too, when it lies in ``retry``, that topic.

    One that is parked there has the timestamp that it had. ``id_header`` is as in `Record`.
    """
    topic, own = message.topic(), headers_of(message)
    kind, written = message.timestamp()
    draft = Draft(  # by place, in the order of Record's fields: by name it takes twice as long
        topic,
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        own or (),
        None if kind == TIMESTAMP_NOT_AVAILABLE else written,
        "LogAppendTime" if kind == TIMESTAMP_LOG_APPEND_TIME else "CreateTime",
        1,
        None,
        UNREADABLE if own is None else None,
        message.leader_epoch(),
        group,
        id_header,
        False,
        False,
    )
    return _returned(made(draft)) if topic == retry else made(draft)


def _returned(record: Record) -> Record:
    """Return a record of the retry topic with what its headers say of it."""
    known = headers.decode(record.headers)
    parked = is_parked(known, record.group)
    found = replace(
        record,
        attempt=1 + (known.attempts or 0),
        origin=known.origin,
        compensates=known.compensates,
        parked=parked,
    )
    return _as_it_was(found, known) if parked else found


def is_parked(known: headers.DeadLetter, group: str) -> bool:
    """Whether what lies in the retry topic with these headers was parked there by a pod of ``group``.

    What somebody copied there, such as a dead letter or what another Consumer parked, was not.
    """
    return known.parked and known.group == group and known.origin is not None


def _as_it_was(record: Record, known: headers.DeadLetter) -> Record:
    """Return a parked record with what its source said of it."""
    return replace(
        record,
        timestamp=None if known.timestamp is None or known.timestamp < 0 else known.timestamp,
        timestamp_type="LogAppendTime" if known.timestamp_type == "LogAppendTime" else "CreateTime",
        unreadable=record.unreadable or known.unreadable,
    )
