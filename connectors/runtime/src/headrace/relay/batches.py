"""How many rows are read at once, and which of them are written together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Any

from headrace.relay.messages import Row

MOST_BYTES = 8 * 1024 * 1024
"""Bytes of payloads that are read at once, beyond the first row."""


def fitting(sizes: Sequence[int]) -> int:
    """Return how many rows to read of those whose payloads have these sizes."""
    fit = sum(1 for total in accumulate(sizes) if total <= MOST_BYTES)
    return max(min(1, len(sizes)), fit)


def is_alone(row: Row, suspects: Collection[Any]) -> bool:
    """Tell whether Kafka refused a row, or one that was sent along with it: what it says next is to be of it alone."""
    return row.failures > 0 or row.id in suspects


def together(rows: Sequence[Row], suspects: Collection[Any]) -> Sequence[Row]:
    """Return the rows to write next, in order: the first alone, or all before the next that is written alone."""
    for number, row in enumerate(rows):
        if is_alone(row, suspects):
            return rows[: max(1, number)]
    return rows
