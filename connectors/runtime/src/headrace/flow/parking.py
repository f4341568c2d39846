"""Which keys are parked: their records lie in the retry topic, or are on the way there, and later ones follow them.

A key is parked when its records would keep those of others from being read. While it is, each record of it that comes
from the source is written behind the ones before; it is live again once the last of them is finished. Arrivals and ends
are judged by one thread, so that nothing slips in between. The idea is Confluent's "Error Handling Patterns for Apache
Kafka" (pattern 4), without its second topic: what is parked is read from the retry topic itself at each assignment.

Records are known by their lane and `Mark`. Pure: no Kafka, no clock. The event loop's thread alone owns it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum, auto
from heapq import heappop, heappush
from typing import NamedTuple

from headrace import headers
from headrace.config import Order
from headrace.flow.budget import HIGH, HIGH_BYTES
from headrace.flow.lanes import Lane, Load, lane_of
from headrace.flow.offset_map import OffsetMap, Tried, stamp
from headrace.flow.partitions import Partition
from headrace.record import Record

SHARE, HOT = 0.1, 0.5
"""Shares of the budget: what keys that fail may hold together, and what a key that is well may hold beside others."""


class Mark(NamedTuple):
    """A record's offset in its source's log, and its timestamp there: a topic made anew has others at the offsets."""

    offset: int
    stamp: int

    def is_older(self, other: Mark) -> bool:
        """Whether this record lies before the other one, in the same log as far as times tell."""
        return self.offset < other.offset and self.stamp <= other.stamp


class Found(NamedTuple):
    """A record that a former owner parked, where the retry topic has it; ``done`` if it was finished there.

    ``by`` is the ownership in which it was written.
    """

    lane: Lane
    mark: Mark
    done: bool
    by: bytes | None = None


class Verdict(Enum):
    """What becomes of a record that arrives: it runs, or it is done already.

    Or it goes where its key is: it follows to the retry topic, or waits behind a dead letter. Or it came too early from
    there, before an older one of its key: it is read again.
    """

    RUN = auto()
    EARLY = auto()
    FOLLOW = auto()
    WAIT = auto()
    DONE = auto()


class _Parked:
    """One parked record: how many ``copies`` of it were not read yet, and what became of the first one that was due.

    ``early`` is the offset of a copy that was read, but not due.
    """

    __slots__ = ("copies", "due", "early", "finished", "taken")

    def __init__(self, copies: int = 0) -> None:
        self.copies = copies
        self.early: int | None = None
        self.due = False
        self.taken = False
        self.finished = False


class _Key:
    """The parked ``records`` of one lane; and a heap of those that are to come, or were."""

    __slots__ = ("_coming", "records")

    def __init__(self) -> None:
        self.records: dict[Mark, _Parked] = {}
        self._coming: list[Mark] = []

    def add(self, mark: Mark) -> _Parked:
        """Return the record of which one more copy comes; one that was finished is to run once more."""
        one = self.records.get(mark)
        if one is None or one.finished:
            one = self.records[mark] = _Parked(one.copies if one else 0)
            heappush(self._coming, mark)
        one.copies += 1
        return one

    def oldest(self) -> Mark | None:
        """Return the oldest record that is to come: of which no copy was due yet."""
        while self._coming and not self.comes(self._coming[0]):
            heappop(self._coming)
        return self._coming[0] if self._coming else None

    def comes(self, mark: Mark) -> bool:
        """Whether a record is to come."""
        one = self.records.get(mark)
        return one is not None and not (one.due or one.finished)


def mark_of(record: Record) -> Mark:
    """Return how ``record`` is known, from the source as from the retry topic."""
    return Mark(record.source.offset, stamp(record.timestamp))


def tried_of(record: Record) -> Tried | None:
    """Return how a parked record was tried before it was parked; None when it was not, and of any other record."""
    if not record.parked:
        return None
    said = headers.decode(record.headers)
    due, since = (said.next_attempt_at or 0) // 1000, (said.first_failed_at or 0) // 1000
    crashes, workers = max(0, said.crashes - said.worker_crashes), said.worker_crashes
    return Tried(record.attempt, crashes, due, since, workers) if record.attempt > 1 or said.crashes else None


class Parking:
    """The parked keys of the partitions that are ours."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, _Key] = {}
        self._early: set[Lane] = set()
        self._unread: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, lane: object) -> bool:
        return lane in self._lanes

    def has(self, lane: Lane, mark: Mark) -> bool:
        """Whether this record is parked."""
        return self._find(lane, mark) is not None

    def comes(self, lane: Lane, mark: Mark) -> bool:
        """Whether this record is parked, and not finished."""
        one = self._find(lane, mark)
        return one is not None and not one.finished

    def unread(self, number: int) -> int:
        """Return how many parked records were not read from the retry partition ``number``; any thread may ask."""
        return self._unread[number]

    def forget(self, numbers: Collection[int]) -> None:
        """Forget what is parked of partitions of these numbers: whoever has them next reads it anew."""
        self._lanes = {lane: key for lane, key in self._lanes.items() if lane[1] not in numbers}
        self._early &= self._lanes.keys()
        for number in numbers:
            del self._unread[number]

    def begin(self, number: int, found: Iterable[Found]) -> None:
        """Begin anew with what was found in the retry partition ``number``, in its order.

        What is done and written again by the same owner is done. One of another owner says nothing of a copy behind it:
        it may have been late, and passed over.
        """
        self.forget([number])
        done: set[tuple[Lane, Mark, bytes | None]] = set()
        for lane, mark, is_done, by in found:
            before = self._find(lane, mark)
            if not is_done:
                is_finished = (lane, mark, by) in done and (before is None or before.finished)
                self._copy(lane, mark).finished = is_finished
            elif before is None:  # else this copy was passed over, as one before it runs
                done.add((lane, mark, by))

    def park(self, lane: Lane, mark: Mark) -> None:
        """Note that a record is on the way to the retry topic."""
        self._copy(lane, mark)

    def from_source(self, lane: Lane, mark: Mark) -> Verdict:
        """Judge a record that came from its source; one that follows is noted as parked.

        One that is older than all that is to come was at the head of its key, in memory, when its pod ended. Of what
        only looks finished, as a copy of it is done, the source knows better: that one may have been passed over.
        """
        key = self._lanes.get(lane)
        if key is None:
            return Verdict.RUN
        if self.comes(lane, mark):
            return Verdict.DONE
        oldest = key.oldest()
        if oldest is not None and mark.offset < oldest.offset:
            return Verdict.RUN
        self.park(lane, mark)
        return Verdict.FOLLOW

    def from_retry(self, lane: Lane, mark: Mark, offset: int, *, may_go_back: bool = True) -> Verdict:
        """Judge a parked record that came from this ``offset`` of the retry topic.

        Of one that is handled already nothing is known. A copy is early where an older record of its key is to come:
        its owner wrote it late, so that the next one did not know of it. Another copy is read in its place, or it again
        once it is due, where the lane ``may_go_back``.
        """
        one = self._find(lane, mark)
        if one is None:
            return Verdict.DONE
        is_early = self._is_early(lane, mark) or (one.early is not None and not may_go_back)
        if is_early and one.copies <= 1:
            one.early = offset
            self._early.add(lane)
            return Verdict.EARLY
        self._read(lane, one)
        if is_early or one.taken or one.finished:
            self._settle(lane, mark)
            return Verdict.DONE
        one.due, one.taken, one.early = True, True, None
        return Verdict.RUN

    def due(self, number: int) -> Iterator[tuple[Lane, int]]:
        """Return what was read too early of the retry partition ``number`` and is due now: lanes and offsets."""
        for lane in self._early:
            oldest = self._lanes[lane].oldest()
            one = self._find(lane, oldest) if oldest is not None and lane[1] == number else None
            if one is not None and one.early is not None:
                yield lane, one.early

    def put_back(self, lane: Lane, mark: Mark) -> None:
        """Note that a parked record that was to run is to be read once more."""
        one = self._copy(lane, mark)
        one.taken = False

    def finish(self, lane: Lane, mark: Mark) -> None:
        """Note that a parked record that ran is finished; after the last of a key the key is live."""
        one = self._find(lane, mark)
        if one is not None:
            one.finished = True
            self._settle(lane, mark)

    def _find(self, lane: Lane, mark: Mark) -> _Parked | None:
        key = self._lanes.get(lane)
        return key.records.get(mark) if key else None

    def _is_early(self, lane: Lane, mark: Mark) -> bool:
        oldest = self._lanes[lane].oldest()
        return oldest is not None and oldest < mark and self._lanes[lane].comes(mark)

    def _copy(self, lane: Lane, mark: Mark) -> _Parked:
        self._unread[lane[1]] += 1
        return self._lanes.setdefault(lane, _Key()).add(mark)

    def _read(self, lane: Lane, one: _Parked) -> None:
        if one.copies:
            one.copies -= 1
            self._unread[lane[1]] -= 1

    def _settle(self, lane: Lane, mark: Mark) -> None:
        """Forget a record that is finished and of which no copy is to come."""
        one = self._find(lane, mark)
        if one is not None and one.finished and not one.copies:
            del self._lanes[lane].records[mark]
            if not self._lanes[lane].records:
                del self._lanes[lane]
                self._early.discard(lane)


def parked_among(log: Iterable[Record], order: Order, known: OffsetMap) -> Iterator[Found]:
    """Return what is parked among records of a retry partition, of which that is ``known``."""
    for record in log:
        if record.parked:
            done = record.offset < known.at or known.has_done(record.offset)
            yield Found(lane_of(record, order), mark_of(record), done, record.header(headers.PARKED))


def beyond(found: Iterable[Found], ends: Mapping[Partition, int]) -> dict[Partition, int]:
    """Return the last offset of each source partition that is parked: what is older may still come from the source.

    Or the last one of its log, by where those ``ends``: it may be another one by now that is shorter.
    """
    last: dict[Partition, int] = {}
    for (topic, number, _), mark, done, _ in found:
        if not done:
            last[topic, number] = max(mark.offset, last.get((topic, number), 0))
    return {place: min(offset, ends.get(place, offset + 1) - 1) for place, offset in last.items()}


def crowding(loads: Collection[Load]) -> list[Lane]:
    """Return the lanes that hold up others while the budget is used up; ``loads`` are those that could be parked.

    Those that fail, the largest first, until the others that fail hold no more than `SHARE` together; and of those that
    are well, the largest first, what holds more than `HOT`, but never the last of them.
    """
    largest_first = sorted(loads, key=_share, reverse=True)
    failing = [one for one in largest_first if one.failing]
    well = [one for one in largest_first if not one.failing]
    chosen = [one.lane for one in well[:-1] if _share(one) > HOT]
    left = sum(map(_share, failing))
    for one in failing:
        if left <= SHARE:
            break
        chosen.append(one.lane)
        left -= _share(one)
    return chosen


def _share(load: Load) -> float:
    return max(load.records / HIGH, load.size / HIGH_BYTES)
