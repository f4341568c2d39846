"""What the runners hand back to the thread that commits."""

from __future__ import annotations

from typing import NamedTuple

from headrace.flow.ledger import Assignment
from headrace.record import Headers, Record


class Finished(NamedTuple):
    """A record that is done, or that is once ``letter`` (headers of its dead letter) is written."""

    assignment: Assignment
    record: Record
    letter: Headers | None
    reason: str | None
