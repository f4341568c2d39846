"""What a partition that was added to a source waits for, as its keys come from partitions that were there before.

A producer chooses a key's partition by how many there are, and learns of more within `FRESH` seconds. What it wrote of
a key before lies below the ends that the older partitions have once the first record of the key is seen in the added
one. So an added partition is read up to an offset once the older ones are handled up to the ends that they had after
that offset was its end, and what is parked of them, too. Older ones never wait for it, so none waits for another in a
ring. Pure: offsets and times are arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from headrace.flow.offsets import Span
from headrace.progress import First

FRESH = 330.0
"""Seconds from the group's beginning with an added partition on, in which producers may still write to others.

They ask how many there are every five minutes (`metadata.max.age.ms`), as the group's members do.
"""

Spans = Mapping[int, Span]
"""What each partition of a topic has."""

Committed = Mapping[int, int]
"""The committed offset of each partition of a topic that has one."""


def older(number: int, firsts: Mapping[int, First]) -> frozenset[int]:
    """Return the partitions with which the group began while their topic had no partition of this ``number``."""
    return frozenset(one for one, first in firsts.items() if first.partitions <= number)


@dataclass(frozen=True, kw_only=True)
class Barrier:
    """Until what an added partition is not read up to ``upto``: the ends of older ones, made at ``began``, in seconds.

    Those of the retry topic, ``parked``, are made once the ``sources`` are handled: until then more may be parked.
    """

    upto: int
    began: float
    sources: Spans
    parked: Spans | None = None

    def next(self, sources: Committed, retry: Spans) -> Barrier:
        """Return it with the ends of ``retry`` as they are now, if it is time for them."""
        if self.parked is not None or _left(self.sources, sources):
            return self
        return replace(self, parked={one: retry[one] for one in self.sources if one in retry})

    def is_passed(self, sources: Committed, parked: Committed) -> bool:
        """Whether the group has handled all of it."""
        return self.parked is not None and not _left(self.sources, sources) and not _left(self.parked, parked)


def barrier(number: int, older: Collection[int], upto: Spans, spans: Spans, now: float) -> Barrier:
    """Return the barrier of a partition, from what its topic had first, ``upto``, and then, ``spans``."""
    return Barrier(upto=upto[number].end, began=now, sources={one: spans[one] for one in older if one in spans})


def _left(ends: Spans, committed: Committed) -> list[int]:
    """Return the partitions that are not handled up to their ends, but empty ones."""
    return [one for one, span in ends.items() if span.start < span.end and committed.get(one, 0) < span.end]
