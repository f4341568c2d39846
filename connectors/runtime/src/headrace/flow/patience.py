"""How long somebody is waited for: time in which this process ran, as nobody is heard while it stands still.

Pure: the clock is an argument.
"""

from __future__ import annotations

LONGEST = 1.0
"""Seconds that count at most between two looks: a longer time was spent on something else, or standing still."""


class Patience:
    """Is over after ``seconds`` of waiting, from ``now`` on."""

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = self._left = seconds
        self._at = now

    def is_over(self, now: float) -> bool:
        """Return whether that has passed at ``now``; to be asked often."""
        self._left -= min(now - self._at, LONGEST)
        self._at = now
        return self._left <= 0

    def renew(self, now: float) -> None:
        """Begin anew: somebody was heard."""
        self._left, self._at = self._seconds, now
