"""The work of the case that keeps processors busy, the same for all."""

from __future__ import annotations

LOOPS = 25_000
"""About a millisecond of pure Python."""


def spin() -> int:
    """Count."""
    total = 0
    for number in range(LOOPS):
        total += number
    return total
