"""How many records may begin in a second: a token bucket.

Pure: time is an argument, in monotonic seconds.
"""

from __future__ import annotations

BURST = 0.1
"""Seconds whose records may begin at once after a quiet time; one record always may."""


class Rate:
    """A limit of records a second."""

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST)
        self._tokens, self._at = self._most, now

    def room(self, now: float) -> int:
        """Return how many records may begin now."""
        self._fill(now)
        return int(self._tokens)

    def begin(self, now: float) -> None:
        """Note that one begins."""
        self._fill(now)
        self._tokens -= 1

    def due(self, now: float) -> float:
        """Return when the next one may begin."""
        self._fill(now)
        return now + max(0.0, 1 - self._tokens) / self._per_second

    def _fill(self, now: float) -> None:
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
        self._at = now
