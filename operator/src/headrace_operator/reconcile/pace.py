"""How often each resource is looked at: where there are many, less often, so that looking costs only so much.

Pure. What waits for something to become well asks to be looked at soon, and is.
"""

from __future__ import annotations

import math
from collections import Counter

from headrace_operator.reconcile.turns import Key

LOOKS = 150.0
"""Looks a second from which on each comes later: five hundred Connectors, with as many Consumers."""

LONGEST = 2.0
"""So many times as far apart they are at most: a Consumer is looked at every ten seconds, not every five."""

STEPS = 4
"""Into so many steps each time is divided, so that most looks still come together, and share what they ask."""


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

    def wait(self, key: Key, seconds: float) -> float:
        """Return in how many seconds to look at ``key``, which asks for a look in so many."""
        self.forget(key)
        self._asked[key] = seconds
        self._counts[seconds] += 1
        return seconds * self.factor

    def forget(self, key: Key) -> None:
        """Count nothing of ``key`` any more."""
        if key in self._asked:
            self._counts[self._asked.pop(key)] -= 1
