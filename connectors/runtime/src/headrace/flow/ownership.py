"""Who owned the partitions of a number, one after the other: what somebody else wrote in an owner's time came late.

Who stood still for longer than its session, or is cut off, learns last that others have its partitions, and what its
producer holds then comes behind what they have read. Those have all of it from where it came, as it was not committed,
so it is passed over. The commits of the source and of the retry partition tell of the owners, and each owner's name is
with what it writes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from headrace import headers
from headrace.progress import Parker
from headrace.record import Record

BEFORE = 3
"""Ownerships before the present one that commits tell of."""


def is_late(record: Record, parkers: Sequence[Parker]) -> bool:
    """Whether a record was parked in an ownership that was over, as by who stood still and was not told so.

    ``parkers`` are those of its source, each after the one before. What is older than all of them is not late.
    """
    its = next((one for one in reversed(parkers) if one.since <= record.offset), None)
    return record.parked and its is not None and record.header(headers.PARKED) != its.by.encode()


class Owners(NamedTuple):
    """Whose dead letters count: ``told`` are those of the commits of a source and of its retry partition.

    Without what was not committed yet. ``own`` is the present ownership, None before it has begun.
    """

    told: tuple[Sequence[Parker], ...] = ()
    own: Parker | None = None

    def is_late(self, offset: int, by: str) -> bool:
        """Whether a letter of a key that waits was written ``by`` an owner whose time was over.

        By one of the commits that know who wrote it, as later owners are later for all; where none does, by each: of an
        owner that one of them does not know, the other may tell what it did. One that tells of no letters is of an
        owner whose version did not, or that had no room to.
        """
        if self.own is not None and self.own.by == by:
            return False
        if self.own is not None and self.own.letter is not None and offset >= self.own.letter:
            return True
        if knowing := [one for one in self.told if any(owner.by == by for owner in one)]:
            return any(_is_late(one, offset, by) for one in knowing)
        return bool(self.told) and all(_is_late(one, offset, by) for one in self.told)

    def within(self, end: int) -> Owners:
        """Return what is known of the topic of letters that ends there: nothing, where it was longer when it was told.

        It was made anew, or cut.
        """
        is_longer = any(one.letter is not None and one.letter > end for told in self.told for one in told)
        return Owners() if is_longer else self

    def first(self) -> int:
        """Return from which letter on any may be late."""
        every = chain(*self.told, () if self.own is None else (self.own,))
        return min((one.letter for one in every if one.letter is not None), default=0)


def told(source: Sequence[Parker] | None, retry: Sequence[Parker] | None) -> Owners:
    """Return whose letters count by the commits of a source partition and of its retry partition.

    None is told of one that was not committed yet: all of it comes again.
    """
    return Owners(tuple(one for one in (source, retry) if one is not None))


def _is_late(parkers: Sequence[Parker], offset: int, by: str) -> bool:
    """Whether it was written after the time of its owner; before that it is of a topic that was made anew."""
    its = next((one for one in reversed(parkers) if one.letter is not None and one.letter <= offset), None)
    begins_later = any(one.by == by for one in parkers if one.letter is not None and one.letter > offset)
    return its is not None and its.by != by and not begins_later


def followed(parkers: Sequence[Parker], own: Parker, at: int, letter: int = 0) -> tuple[Parker, ...]:
    """Return ``parkers`` with our ``own`` behind them, but those of whose time nothing is left.

    Neither from offset ``at`` of the retry partition on, nor from this ``letter``. Of too many the first are left out,
    with which all counts that is older. Letters behind our own first one were told of a topic that was made anew, or
    cut.
    """
    if own.letter is not None and any(one.letter > own.letter for one in parkers if one.letter is not None):
        parkers = [one._replace(letter=None) for one in parkers]
    nexts = (*parkers[1:], own)
    left = [one for one, after in zip(parkers, nexts, strict=False) if _is_left(one, after, at, letter)]
    return (*left[-BEFORE:], own)


def _is_left(one: Parker, after: Parker, at: int, letter: int) -> bool:
    if max(one.since, at) < after.since:
        return True
    return one.letter is not None and (after.letter is None or max(one.letter, letter) < after.letter)
