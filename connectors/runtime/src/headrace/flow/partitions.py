"""A partition by its name, and several of them in a log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

Partition = tuple[str, int]
"""Topic and number."""


def listed(partitions: Iterable[Partition]) -> str:
    """Return them as a log has them, the numbers of a topic together: ``orders/0+1, payments/0``."""
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    for topic, number in sorted(partitions):
        numbers[topic].append(str(number))
    return ", ".join(f"{topic}/{'+'.join(each)}" for topic, each in numbers.items()) or "none"
