"""How much may be read and not finished: by records and by bytes, each with a mark to stop at and one to go on at.

Pure. The gap between the marks keeps reading from stopping and starting with each record: a pause throws away what was
fetched ahead.
"""

from __future__ import annotations

from headrace.record import Record

HIGH, LOW = 5_000, 2_500
"""Records unfinished at which reading stops, and at which it goes on."""

HIGH_BYTES, LOW_BYTES = 32 * 1024 * 1024, 16 * 1024 * 1024

OVERHEAD, HEADER_OVERHEAD = 1_300, 150
"""Bytes that a record takes beside its own, and each of its headers: its objects, its lane, its place in the ledger."""


class Budget:
    """Whether there is room for more records; remembers on which side of the marks it was."""

    def __init__(self, share: float = 1.0) -> None:
        """Of the marks ``share`` counts."""
        self._share = share
        self._full = False

    def is_full(self, records: int, size: int) -> bool:
        """Return whether reading must stop, with so many records of ``size`` bytes unfinished."""
        high, high_bytes = (LOW, LOW_BYTES) if self._full else (HIGH, HIGH_BYTES)
        self._full = records >= self._share * high or size >= self._share * high_bytes
        return self._full


def weight(record: Record) -> int:
    """Return about how many bytes of memory ``record`` takes while it is unfinished."""
    own = OVERHEAD + len(record.key or b"") + len(record.value or b"")
    if not record.headers:
        return own
    return own + sum(HEADER_OVERHEAD + len(name) + len(value or b"") for name, value in record.headers)
