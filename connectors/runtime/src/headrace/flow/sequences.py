"""Which keys wait behind a dead letter of theirs, so that later records of them follow it to the dead-letter topic.

What is dead-lettered of a key is a sequence, as with Axon's sequenced dead-letter queue: its heads, which failed, and
the followers, which nobody tried. Ends are judged by the thread that judges arrivals, so that nothing slips in between:
a key is live again only if as many letters of it were written as have been dealt with.

Pure: no Kafka, no clock. The event loop's thread alone owns the sequences.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from headrace import headers
from headrace.flow.lanes import Lane
from headrace.flow.offset_map import stamp
from headrace.flow.parking import Mark, mark_of
from headrace.flow.partitions import Partition
from headrace.flow.seen import Known, Seen, known
from headrace.record import Record


class Written(NamedTuple):
    """How many letters of a key were sent since it waits, and how many of them failed: its heads."""

    letters: int = 0
    heads: int = 0


class Sequences:
    """The keys that wait, of the source partitions of which keys can wait, and are ours."""

    def __init__(self) -> None:
        self._keeps: set[Partition] = set()
        self._written: dict[Lane, Written] = {}
        self._barriers: dict[Lane, Mark] = {}
        self._oldest: dict[Lane, Mark] = {}
        self._letters: set[Known] = set()

    def __len__(self) -> int:
        return len(self._written)

    def __contains__(self, lane: object) -> bool:
        return lane in self._written

    @property
    def is_idle(self) -> bool:
        """Whether nothing that arrives can be a letter already, or follow one."""
        return not self._letters and not self._written

    def begin(self, number: int, seen: Seen) -> None:
        """Begin anew with what was seen of the partitions of this number."""
        self.forget([number])
        self._keeps |= seen.keeps
        self._written |= dict.fromkeys(seen.keys, Written())
        self._barriers |= {lane: found.barrier for lane, found in seen.keys.items() if found.barrier is not None}
        self._oldest |= {lane: found.oldest for lane, found in seen.keys.items() if found.oldest is not None}
        self._letters |= seen.letters

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the partitions of these numbers: whoever has them next reads it anew."""
        self._keeps = {one for one in self._keeps if one[1] not in numbers}
        self._written = {lane: count for lane, count in self._written.items() if lane[1] not in numbers}
        self._barriers = {lane: mark for lane, mark in self._barriers.items() if lane[1] not in numbers}
        self._oldest = {lane: mark for lane, mark in self._oldest.items() if lane[1] not in numbers}
        self._letters = {one for one in self._letters if one.lane[1] not in numbers}

    def keeps(self, source: Partition) -> bool:
        """Whether keys of this source partition can wait."""
        return source in self._keeps

    def may_wait(self, lane: Lane) -> bool:
        """Whether this lane can wait: records without a key have no followers."""
        return isinstance(lane[2], bytes) and (lane[0], lane[1]) in self._keeps

    def is_letter(self, lane: Lane, record: Record) -> bool:
        """Whether what arrives has its letter already, as its pod ended before that was told; asked once of each."""
        if not self._letters:
            return False
        found = self._delivery(lane, record)
        if found not in self._letters:
            return False
        self._letters.discard(found)
        return True

    def follows(self, lane: Lane, record: Record) -> bool:
        """Whether a record goes to the dead-letter topic behind its key.

        Not what somebody puts back, nor what comes again and is older than all that waits; and what was moved back only
        if it lies behind one that failed since, or waits.
        """
        if lane not in self._written or record.compensates:
            return False
        barrier, oldest, mark = self._barriers.get(lane), self._oldest.get(lane), mark_of(record)
        if record.origin is None or record.parked:
            return oldest is None or not mark.is_older(oldest)
        return barrier is not None and mark > barrier and headers.decode(record.headers).follows

    def note(self, lane: Lane, head: Mark | None = None) -> None:
        """Note that a letter is on its way: of a ``head``, behind which the key waits, or of what waits with it."""
        before = self._written.get(lane, Written())
        self._written[lane] = Written(before.letters + 1, before.heads + (head is not None))
        if head is not None:
            self._barriers[lane] = min(head, self._barriers.get(lane, head))
            self._oldest[lane] = min(head, self._oldest.get(lane, head))

    def free(self, lane: Lane, heads: int) -> None:
        """Let what is moved back of a key run, whose heads, that many, have a resolution; not where more failed."""
        if self.written(lane).heads == heads:
            self._barriers.pop(lane, None)
            self._oldest.pop(lane, None)

    def release(self, lane: Lane, letters: int) -> bool:
        """Let a key live again of which that many letters have been dealt with; False where more are on their way."""
        if lane not in self._written or self._written[lane].letters != letters:
            return False
        del self._written[lane]
        self._barriers.pop(lane, None)
        self._oldest.pop(lane, None)
        return True

    def written(self, lane: Lane) -> Written:
        """Return what was sent of a key since it waits here."""
        return self._written.get(lane, Written())

    def _delivery(self, lane: Lane, record: Record) -> Known | None:
        if record.origin is None:
            return Known(lane, Mark(record.offset, stamp(record.timestamp)), None)
        return known(lane, headers.decode(record.headers))
