"""How much may be read and not finished: by records and by bytes, each with a mark to stop at and one to go on at.

Where the keys at hand are few, bytes alone count (`headrace.flow.shares`). Pure. The gap between the marks keeps
reading from stopping and starting with each record: a pause throws away what was fetched ahead.
"""

from __future__ import annotations

from headrace.record import Record

HIGH, LOW = 10_000, 8_000
"""Records unfinished at which reading stops, and at which it goes on; not while there are too few keys to handle.

What is finished amid so many of one partition can still be told with its commit, one bit for each.
"""

HIGH_BYTES, LOW_BYTES = 32 * 1024 * 1024, 16 * 1024 * 1024

OVERHEAD, HEADER_OVERHEAD = 900, 150
"""Bytes that a record takes beside its own, and each of its headers: its objects, its lane, its place in the ledger."""


class Budget:
    """Whether there is room for more records; remembers on which side of the marks it was."""

    def __init__(self, share: float = 1.0) -> None:
        """Of the marks ``share`` counts."""
        self._share = share
        self._many = False
        self.is_heavy = False
        """Whether it is used up by bytes."""

    def is_used_up(self, records: int, size: int) -> bool:
        """Note that so many records of ``size`` bytes are unfinished; return whether that is all there may be."""
        self._many = records >= self._share * (LOW if self._many else HIGH)
        self.is_heavy = size >= self._share * (LOW_BYTES if self.is_heavy else HIGH_BYTES)
        return self._many or self.is_heavy


def weight(record: Record) -> int:
    """Return about how many bytes of memory ``record`` takes while it is unfinished."""
    own = OVERHEAD + len(record.key or b"") + len(record.value or b"")
    if not record.headers:
        return own
    return own + sum(HEADER_OVERHEAD + len(name) + len(value or b"") for name, value in record.headers)
