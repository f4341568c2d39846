"""What the runners hand back to the thread that commits."""

from __future__ import annotations

from typing import NamedTuple

from headrace.flow.lanes import Lane
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.record import Headers, Record


class Finished(NamedTuple):
    """A record that is done, or that is once ``letter`` (headers of its dead letter) is written.

    ``lane`` is there where its key waits behind that letter.
    """

    assignment: Assignment
    record: Record
    letter: Headers | None
    reason: str | None
    lane: Lane | None = None


class Retried(NamedTuple):
    """The record at ``offset`` failed and is tried again; it is told with the next commit."""

    assignment: Assignment
    offset: int
    tried: Tried
