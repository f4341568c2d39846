"""Which keys wait behind a dead letter of theirs, so that later records of them follow it to the dead-letter topic.

What is dead-lettered of a key is a sequence, as with Axon's sequenced dead-letter queue: its heads, which failed, and
the followers, which nobody tried. Ends are judged by the thread that judges arrivals, so that nothing slips in between:
a key is live again only if as many letters of it were written as have been dealt with.

Pure: no Kafka, no clock. The event loop's thread alone owns the sequences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from headrace import headers
from headrace.config import Order
from headrace.flow.lanes import Lane, lane_of, short_key
from headrace.flow.offset_map import OffsetMap, stamp
from headrace.flow.parking import Mark
from headrace.flow.partitions import Partition
from headrace.headers import DeadLetter
from headrace.record import Record


class Known(NamedTuple):
    """A delivery of a record: from its source, or from the retry topic by this redrive."""

    lane: Lane
    mark: Mark
    redrive: str | None


class Found(NamedTuple):
    """What the dead-letter topic has of a key: ``heads`` that failed, whether some follow; all from ``first`` on.

    ``end`` is where the retry topic ends that has records of the key which were put back, None for none.
    """

    first: int
    heads: frozenset[int] = frozenset()
    follows: bool = False
    end: int | None = None


class Seen(NamedTuple):
    """Of the partitions of one number, as they are assigned: keys that wait, and what is there as a letter already.

    ``keeps`` are the source partitions of which keys can wait, ``end`` is that of the partition of dead letters.
    """

    keeps: frozenset[Partition]
    end: int
    keys: Mapping[Lane, Found]
    letters: frozenset[Known]


NOTHING = Seen(frozenset(), 0, {}, frozenset())


def known(lane: Lane, said: DeadLetter) -> Known | None:
    """Return which delivery a letter, or a record of the retry topic, is of, whose headers say that."""
    if said.origin is None:
        return None
    return Known(lane, Mark(said.origin.offset, stamp(said.timestamp)), said.redrive_id)


def lane_of_letter(key: bytes | None, said: DeadLetter) -> Lane | None:
    """Return the lane of a record whose letter has this key and says that; None of one without a key or an origin."""
    if said.origin is None or key is None:
        return None
    return (said.origin.topic, said.origin.partition, short_key(key))


def pending_among(log: Iterable[Record], order: Order, handled: OffsetMap) -> Iterator[Known]:
    """Return what of a retry partition comes again, of which that is ``handled``: whose letter may be there already."""
    for record in log:
        if record.offset >= handled.at and not handled.has_done(record.offset) and not record.compensates:
            found = known(lane_of(record, order), headers.decode(record.headers))
            if found is not None:
                yield found


class Written(NamedTuple):
    """How many letters of a key were sent since it waits, and how many of them failed: its heads."""

    letters: int = 0
    heads: int = 0


class Sequences:
    """The keys that wait, of the source partitions of which keys can wait, and are ours."""

    def __init__(self) -> None:
        self._keeps: set[Partition] = set()
        self._written: dict[Lane, Written] = {}
        self._blocked: set[Lane] = set()
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
        self._blocked |= {lane for lane, found in seen.keys.items() if found.heads}
        self._letters |= seen.letters

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the partitions of these numbers: whoever has them next reads it anew."""
        self._keeps = {one for one in self._keeps if one[1] not in numbers}
        self._written = {lane: count for lane, count in self._written.items() if lane[1] not in numbers}
        self._blocked &= self._written.keys()
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

        Not what somebody puts back; and what was moved back only if another head failed since.
        """
        if lane not in self._written or record.compensates:
            return False
        if record.origin is None or record.parked:
            return True
        return lane in self._blocked and headers.decode(record.headers).follows

    def note(self, lane: Lane, *, is_head: bool) -> None:
        """Note that a letter is on its way behind which the key waits, or that waits with it."""
        before = self._written.get(lane, Written())
        self._written[lane] = Written(before.letters + 1, before.heads + is_head)
        if is_head:
            self._blocked.add(lane)

    def free(self, lane: Lane, heads: int) -> None:
        """Let what is moved back of a key run, whose heads, that many, have a resolution; not where more failed."""
        if self.written(lane).heads == heads:
            self._blocked.discard(lane)

    def release(self, lane: Lane, letters: int) -> bool:
        """Let a key live again of which that many letters have been dealt with; False where more are on their way."""
        if lane not in self._written or self._written[lane].letters != letters:
            return False
        del self._written[lane]
        self._blocked.discard(lane)
        return True

    def written(self, lane: Lane) -> Written:
        """Return what was sent of a key since it waits here."""
        return self._written.get(lane, Written())

    def _delivery(self, lane: Lane, record: Record) -> Known | None:
        if record.origin is None:
            return Known(lane, Mark(record.offset, stamp(record.timestamp)), None)
        return known(lane, headers.decode(record.headers))
