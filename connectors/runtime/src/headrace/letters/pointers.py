"""Dead letters without a value, for records that the dead-letter topic does not take: they point to the record itself.

Pure. A pointer says where the record was read, how large its value is and its SHA-256, so that it is known again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from headrace import headers, parsing
from headrace.flow.lanes import LONGEST_KEY
from headrace.record import Headers, Position, Record

PREFIX = f"{headers.OWN}value-"


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Where the record is; ``bytes`` and ``digest`` (SHA-256, hexadecimal) are those of its value."""

    at: Position
    bytes: int
    digest: str


def to(record: Record) -> Pointer:
    """Return the pointer to ``record``, where it was read."""
    value = record.value or b""
    at = Position(record.topic, record.partition, record.offset)
    return Pointer(at=at, bytes=len(value), digest=digest(record.value))


def encode(pointer: Pointer) -> Headers:
    """Return the headers that say ``pointer``."""
    return (
        (f"{PREFIX}topic", pointer.at.topic.encode()),
        (f"{PREFIX}partition", b"%d" % pointer.at.partition),
        (f"{PREFIX}offset", b"%d" % pointer.at.offset),
        (f"{PREFIX}bytes", b"%d" % pointer.bytes),
        (f"{PREFIX}sha256", pointer.digest.encode()),
    )


def decode(letter: Headers) -> Pointer | None:
    """Return the pointer of a dead letter with these headers; None of one that has its value, or is not ours."""
    said = {name.removeprefix(PREFIX): value for name, value in headers.added(letter) if name.startswith(PREFIX)}
    topic, partition = parsing.topic(said.get("topic")), parsing.digits(said.get("partition"), most=parsing.INT32)
    offset, size = parsing.digits(said.get("offset")), parsing.digits(said.get("bytes"))
    found = parsing.text(said.get("sha256"), 64)
    if topic is None or partition is None or offset is None or size is None or found is None:
        return None
    return Pointer(at=Position(topic, partition, offset), bytes=size, digest=found)


def without(letter: Headers) -> Headers:
    """Return the headers of ``letter`` that are not a pointer."""
    return tuple(item for item in letter if not item[0].startswith(PREFIX))


def short_key(key: bytes | None) -> bytes | None:
    """Return the key that a letter without value has; redriven, a record has its own anyway."""
    return None if key is None or len(key) > LONGEST_KEY else key


def digest(value: bytes | None) -> str:
    """Return the SHA-256 of ``value`` in hexadecimal."""
    return hashlib.sha256(value or b"").hexdigest()
