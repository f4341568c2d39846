"""Since when the records of one partition are there: a few ends that were seen, each with the time of its first sample.

Pure: the clock is an argument. However long records wait, little is kept: nothing of what was handled, and of the rest
ends that lie closer together in time than an eighth of their age are thinned out.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

THIN_EVERY = 16
"""Ends after which it is thinned out."""

NEAR = 8
"""How many times as old as their distance ends are that are thinned out."""

Seen = tuple[int, datetime]


@dataclass(frozen=True, kw_only=True)
class Age:
    """How many seconds a record has waited; ``at_least`` when it was there before anybody looked."""

    seconds: float
    at_least: bool


@dataclass
class Arrivals:
    """Ends in the order of the log; the first is the last one that lies before what waits, where one was seen."""

    ends: list[Seen] = field(default_factory=list)

    def add(self, end: int, handled: int, now: datetime) -> None:
        """Note the next offset to be written and the next to handle; a log that ends earlier than before is new."""
        if self.ends and end < self.ends[-1][0]:
            self.ends = []
        if not self.ends or end > self.ends[-1][0]:
            self.ends.append((end, now))
            if len(self.ends) % THIN_EVERY == 0:
                self.ends = _thinned(self.ends, now)
        del self.ends[: max(0, self._after(handled) - 1)]

    def age(self, offset: int, now: datetime) -> Age:
        """Return how long the record at ``offset`` is there, to an eighth less; nothing waits at the end."""
        place = self._after(offset)
        if place == len(self.ends):
            return Age(seconds=0.0, at_least=False)
        return Age(seconds=(now - self.ends[place][1]).total_seconds(), at_least=place == 0)

    def _after(self, offset: int) -> int:
        """Return the place of the first end beyond ``offset``."""
        return bisect_right(self.ends, offset, key=lambda seen: seen[0])


def _thinned(ends: list[Seen], now: datetime) -> list[Seen]:
    """Return the ends without those whose neighbours are near; the first two say how old the oldest record is."""
    kept = ends[:2]
    for place in range(2, len(ends) - 1):
        after = ends[place + 1][1]
        if after - kept[-1][1] > max(timedelta(0), now - after) / NEAR:
            kept.append(ends[place])
    return [*kept, *ends[-1:]] if len(ends) > 2 else ends
