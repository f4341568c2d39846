"""How many rows are read at once, and which of them are written together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from headrace.relay.messages import Row

FIRST = 50
"""Rows that are read first: how large they are is known only then."""

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of keys and values that a batch has, where its rows are about as large as those before."""


def next_limit(limit: int, most: int, rows: Sequence[Row]) -> int:
    """Return how many rows to read next, after these were read with ``limit``; at most ``most``."""
    size = sum(row.size for row in rows)
    if size > MOST_BYTES:
        return max(1, len(rows) * MOST_BYTES // size)
    if len(rows) == limit and 2 * size <= MOST_BYTES:
        return min(most, 2 * limit)
    return min(most, limit)


def is_alone(row: Row, suspects: Collection[Any]) -> bool:
    """Tell whether Kafka refused a row, or one that was sent along with it: what it says next is to be of it alone."""
    return row.failures > 0 or row.id in suspects


def together(rows: Sequence[Row], suspects: Collection[Any]) -> Sequence[Row]:
    """Return the rows to write next, in order: the first alone, or all before the next that is written alone."""
    for number, row in enumerate(rows):
        if is_alone(row, suspects):
            return rows[: max(1, number)]
    return rows
