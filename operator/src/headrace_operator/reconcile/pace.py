"""How often each resource is looked at, and when: where there are many, less often, and not all at one moment.

Those that are looked at equally often are looked at in groups: who is in one shares what is asked, and has its own
moment of the tick, so that nobody waits behind a thousand. Pure. What waits for something to become well asks to be
looked at soon, and is.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter

from headrace_operator.reconcile.turns import Key

LOOKS = 150.0
"""Looks a second from which on each comes later: five hundred Connectors, with as many Consumers."""

LONGEST = 2.0
"""So many times as far apart they are at most: a Consumer is looked at every ten seconds, not every five."""

STEPS = 4
"""Into so many steps each time is divided, so that most looks still come together, and share what they ask."""

TOGETHER = 100
"""So many are looked at at one moment; of more there are as many groups, evenly apart, as hold about so many."""

SOONER = 0.1
"""By this part of the tick, at most, a look is sooner that follows a late one."""

HASHES = 2**32


class Pace:
    """Counts the looks that all resources ask for."""

    def __init__(self) -> None:
        self._asked: dict[Key, float] = {}
        self._counts: Counter[float] = Counter()

    @property
    def factor(self) -> float:
        """By how much looks are further apart than was asked for."""
        looks = sum(count / seconds for seconds, count in self._counts.items())
        return min(LONGEST, max(1.0, math.ceil(looks / LOOKS * STEPS) / STEPS))

    def next(self, key: Key, seconds: float, begun: float) -> float:
        """Return when to look at ``key`` after a look that was ``begun`` then, and asks for another in so many seconds.

        Who was late is looked at again a little sooner, until it is at its moment; so where all are late, all are
        looked at equally often.
        """
        self.forget(key)
        self._asked[key] = seconds
        self._counts[seconds] += 1
        apart = seconds * self.factor
        late = round(begun - apart * self._share(key, seconds), 3) % apart
        return begun + apart - min(late, apart * SOONER)

    def _share(self, key: Key, seconds: float) -> float:
        """Return at which share of the tick the group of ``key`` has its moment; one more group moves it by little."""
        groups = math.ceil(self._counts[seconds] / TOGETHER)
        return int(zlib.crc32(str(key).encode()) / HASHES * groups) / groups

    def forget(self, key: Key) -> None:
        """Count nothing of ``key`` any more."""
        if key in self._asked:
            self._counts[self._asked.pop(key)] -= 1
