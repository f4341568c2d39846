"""What passes between a worker process and its parent: records, the tickets to begin them, and answers.

Records go to a worker before it is done with those it has, each with a ticket in a channel of its own. A worker takes a
record's ticket before it begins it, and the parent may take a ticket back; the kernel gives it to one of the two. So it
is known which record a worker has begun, however it ended, and what it has not begun can be begun elsewhere.
"""

from __future__ import annotations

import pickle
from dataclasses import fields
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple

from headrace.flow.policy import Failed
from headrace.record import Draft, Record, made

FRAME = Struct(">QI")
"""Before a record: its number in this channel, from 1, and the bytes that follow."""

TICKET = Struct(">Qd")
"""A record's number, and until when it may begin, by the machine's monotonic clock, in seconds."""

ANSWER = Struct(">QfI")
"""Before an answer: the record's number, the seconds it took, and the bytes of JSON that follow; none is success."""

LOADED = 0
"""The number of the first answer: whether the function is loaded, and if not, a text that says why."""

TOO_LATE = 0xFFFF_FFFF
"""Instead of an answer's bytes: the record was not begun, as its time was over."""


class Told(NamedTuple):
    """What a worker is told with its arguments, as JSON: of the contract's `headrace.config.Python`."""

    function: str
    path: str | None
    timeout: float
    memory: int | None


_VALUES: Any = attrgetter(*(one.name for one in fields(Record)))


def packed(record: Record) -> bytes:
    """Return a record as bytes; its fields alone, as a frozen class takes seven times as long."""
    return pickle.dumps(_VALUES(record), pickle.HIGHEST_PROTOCOL)


def unpacked(message: bytes) -> Record:
    """Return the record that was packed."""
    return made(Draft(*pickle.loads(message)))


def is_exhausted(failed: Failed | None) -> bool:
    """Whether the worker has run out of memory: it begins nothing more, and is ended."""
    return failed is not None and failed.exception.endswith("MemoryError")
