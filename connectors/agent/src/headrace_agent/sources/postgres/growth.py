"""How fast what a slot retains grows, and when it is lost by that. Pure."""

from __future__ import annotations

from collections import deque

WINDOW = 600.0
"""Seconds that are looked back."""


class Growth:
    """What was retained at the looks of the last ten minutes."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def add(self, at: float, retained: int | None) -> float | None:
        """Take a look ``at`` seconds of a monotonic clock; return bytes per second, None before the second look.

        What is unknown, as of a slot that is lost or not there, begins anew.
        """
        if retained is None:
            self._looks.clear()
            return None
        self._looks.append((at, retained))
        while self._looks[0][0] < at - WINDOW:
            self._looks.popleft()
        first_at, first = self._looks[0]
        return (retained - first) / (at - first_at) if at > first_at else None


def hours_left(safe: int | None, growth: float | None) -> float | None:
    """Return hours until ``safe`` bytes are used up; None without a limit, or without growth."""
    if safe is None or growth is None or growth <= 0:
        return None
    return max(safe, 0) / growth / 3600
