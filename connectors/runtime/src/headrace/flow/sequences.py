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
from headrace.flow.seen import Known, Seen, earlier, known
from headrace.record import Record


class Written(NamedTuple):
    """How many letters of a key were sent since it waits, and how many of them failed: its heads."""

    letters: int = 0
    heads: int = 0


class _Key(NamedTuple):
    """A key that waits: what was sent of it, and what of it waits on, as `headrace.flow.seen.Found` has it."""

    written: Written = Written()
    barrier: Mark | None = None
    oldest: Mark | None = None

    def with_letter(self, head: Mark | None) -> _Key:
        """Return it with one more letter: of a ``head``, or of what waits with it."""
        letters, heads = self.written
        if head is None:
            return self._replace(written=Written(letters + 1, heads))
        return _Key(Written(letters + 1, heads + 1), earlier(head, self.barrier), earlier(head, self.oldest))


class Sequences:
    """The keys that wait, of the source partitions of which keys can wait, and are ours."""

    def __init__(self) -> None:
        self._keeps: set[Partition] = set()
        self._keys: dict[Lane, _Key] = {}
        self._letters: set[Known] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, lane: object) -> bool:
        return lane in self._keys

    @property
    def is_idle(self) -> bool:
        """Whether nothing that arrives can be a letter already, or follow one."""
        return not self._letters and not self._keys

    def begin(self, number: int, seen: Seen) -> None:
        """Begin anew with what was seen of the partitions of this number."""
        self.forget([number])
        self._keeps |= seen.keeps
        self._keys |= {lane: _Key(barrier=found.barrier, oldest=found.oldest) for lane, found in seen.keys.items()}
        self._letters |= seen.letters

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the partitions of these numbers: whoever has them next reads it anew."""
        self._keeps = {one for one in self._keeps if one[1] not in numbers}
        self._keys = {lane: key for lane, key in self._keys.items() if lane[1] not in numbers}
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
        key = self._keys.get(lane)
        if key is None or record.compensates:
            return False
        mark = mark_of(record)
        if record.origin is None or record.parked:
            return key.oldest is None or not mark.is_older(key.oldest)
        return key.barrier is not None and mark > key.barrier and headers.decode(record.headers).follows

    def note(self, lane: Lane, head: Mark | None = None) -> None:
        """Note that a letter is on its way: of a ``head``, behind which the key waits, or of what waits with it."""
        self._keys[lane] = self._keys.get(lane, _Key()).with_letter(head)

    def free(self, lane: Lane, heads: int) -> None:
        """Let what is moved back of a key run, whose heads, that many, have a resolution; not where more failed."""
        key = self._keys.get(lane)
        if key is not None and key.written.heads == heads:
            self._keys[lane] = _Key(key.written)

    def release(self, lane: Lane, letters: int) -> bool:
        """Let a key live again of which that many letters have been dealt with; False where more are on their way."""
        key = self._keys.get(lane)
        if key is None or key.written.letters != letters:
            return False
        del self._keys[lane]
        return True

    def written(self, lane: Lane) -> Written:
        """Return what was sent of a key since it waits here."""
        return self._keys.get(lane, _Key()).written

    def _delivery(self, lane: Lane, record: Record) -> Known | None:
        if record.origin is None:
            return Known(lane, Mark(record.offset, stamp(record.timestamp)), None)
        return known(lane, headers.decode(record.headers))
