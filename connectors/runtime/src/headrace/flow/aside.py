"""Parked records that left the memory again and wait in the retry topic, so that no key there holds up another.

What was read of the retry topic takes room until it is handled. When that is used up, keys share it: a key gives up the
last of its records, and reads them again, in their order, once what it kept is finished. How much each keeps is max-min
fair: the small ones keep all, the others as much as each other. Pure. The event loop's thread alone owns it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from headrace.flow.budget import LOW, LOW_BYTES
from headrace.flow.lanes import Job, Lane

SHARE = 0.2
"""Of the budget for records in memory, what retry partitions have beside it: only keys that are parked wait for it."""

LEFT = 0.9
"""Of the mark at which reading goes on, what keys may keep: so it does go on."""


class Aside:
    """The offsets in the retry topic of what each lane gave up; lanes that want theirs again."""

    def __init__(self) -> None:
        self._offsets: dict[Lane, deque[int]] = {}
        self._wanting: set[Lane] = set()

    def __bool__(self) -> bool:
        return bool(self._offsets)

    def __contains__(self, lane: object) -> bool:
        return lane in self._offsets

    def put(self, lane: Lane, offsets: Sequence[int]) -> None:
        """Set aside what was the last that ``lane`` had in memory, in order: it lies before what is aside already."""
        self._offsets.setdefault(lane, deque()).extendleft(reversed(offsets))
        self._wanting.discard(lane)

    def admits(self, lane: Lane, offset: int) -> bool:
        """Return whether a record that was read goes into memory; else it is aside, in its place.

        Of a lane that has some there, only the first may, and only once the lane wants it.
        """
        aside = self._offsets.get(lane)
        if aside is None:
            return True
        if lane in self._wanting and offset == aside[0]:
            self._leave(lane, offset)
            return True
        if offset > aside[-1]:
            aside.append(offset)
        return False

    def drop(self, lane: Lane, offset: int) -> None:
        """Forget a record that need not run."""
        if offset in self._offsets.get(lane, ()):
            self._leave(lane, offset)

    def want(self, lane: Lane) -> None:
        """Note that ``lane`` has finished what it kept."""
        if lane in self._offsets:
            self._wanting.add(lane)

    def first(self, number: int) -> int | None:
        """Return from which offset on the retry partition ``number`` is to be read again; None: it is not."""
        return min((self._offsets[lane][0] for lane in self._wanting if lane[1] == number), default=None)

    def forget(self, numbers: Collection[int]) -> None:
        """Forget what is aside of partitions of these numbers."""
        self._offsets = {lane: aside for lane, aside in self._offsets.items() if lane[1] not in numbers}
        self._wanting &= self._offsets.keys()

    def _leave(self, lane: Lane, offset: int) -> None:
        aside = self._offsets[lane]
        aside.remove(offset)
        if not aside:
            del self._offsets[lane]
            self._wanting.discard(lane)


def kept(jobs: Sequence[Job], level: float) -> int:
    """Return how many of the first ``jobs`` of a lane fit into ``level`` of the room, and at the least one."""
    taken = 0.0
    for count, job in enumerate(jobs):
        taken += cost(job)
        if count and taken > level:
            return count
    return len(jobs)


def fair(costs: Collection[float]) -> float:
    """Return how much of the room each lane may keep, of which they take ``costs``, so that together they fit."""
    left, ascending = LEFT, sorted(costs)
    for index, one in enumerate(ascending):
        share = left / (len(ascending) - index)
        if one > share:
            return share
        left -= one
    return 1.0


def cost(job: Job) -> float:
    """Return the share of the room that a record takes."""
    return max(1 / (SHARE * LOW), job.size / (SHARE * LOW_BYTES))
