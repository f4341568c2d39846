"""Which offsets are safe to commit: for each partition the lowest delivered offset that is not finished.

Only delivered offsets count, so gaps left by compaction or transactions are harmless; where all is finished, the end
that the client has reached counts, which lies beyond transaction markers. What is finished beyond the committed offset
is known from the owner before (`OffsetMap`), as far as the log is seen to be the same. Pure: no Kafka, no clock.
The poll thread alone owns a ledger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from headrace.flow.offset_map import UNKNOWN, OffsetMap, Range, Tried
from headrace.flow.partitions import Partition
from headrace.progress import First, Parker, Sequences, Stop


class Assignment:
    """One time that a partition was ours; a later time is another object, so late answers are told apart by it.

    ``given_away`` is the fence: once it is set, nothing begins for the partition and nothing is written for it. Any
    thread may read it. ``told`` is the offset and metadata that were committed last, None when that is not sure.
    ``mistrusted`` says that the map of the owner before was of another log. ``begun`` says that the group knows that we
    work on it; ``suspects`` counts the records to come that may have ended the process of the owner before. ``parks``:
    its keys may be parked in the retry topic (`headrace.flow.parking`), which any thread may read; ``parkers`` whose
    are. ``initial`` is what was known at first. ``place`` is the offset after the last one read, which lies before
    ``end`` while some are read again. ``halted``: a record of it is dead-lettered, and nothing more begins, which any
    thread may note and read; ``stopped`` names that letter once it is written. ``ended``: all that its log had has been
    read. ``sequences`` says from which dead letter on keys of it may wait behind theirs; ``first`` when the group began
    with it, once that is known. ``is_current``: it is its ledger's present one of the partition.
    """

    __slots__ = (
        "_aside",
        "_at",
        "_epoch",
        "_inherited",
        "_open",
        "_skip",
        "_stamp",
        "_tried",
        "begun",
        "committed",
        "end",
        "ended",
        "first",
        "given_away",
        "halted",
        "initial",
        "is_current",
        "mistrusted",
        "name",
        "parkers",
        "parks",
        "partition",
        "place",
        "sequences",
        "size",
        "stopped",
        "suspects",
        "told",
        "topic",
    )

    def __init__(
        self, topic: str, partition: int, committed: int | None = None, known: OffsetMap | None = None
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.name: Partition = (topic, partition)
        self.end: int | None = None
        self.place = 0
        self.ended = False
        self.committed = committed
        self.size = 0
        self.is_current = False
        self.given_away = False
        self.mistrusted = False
        self.begun = False
        self.suspects = 0
        self.parks = False
        self.parkers: tuple[Parker, ...] = ()
        self.halted = False
        self.stopped: Stop | None = None
        self.sequences: Sequences | None = None
        self.first: First | None = None
        self.initial = known or OffsetMap(at=committed or 0)
        self.told: tuple[int, str] | None = None
        self._open: dict[int, tuple[int, int]] = {}
        self._aside: set[int] = set()
        self._inherit(known or OffsetMap(at=0))

    @property
    def unfinished(self) -> int:
        """How many delivered records are not finished."""
        return len(self._open)

    @property
    def in_memory(self) -> int:
        """How many of those are in memory; `size` is what they weigh."""
        return len(self._open) - len(self._aside)

    @property
    def aside(self) -> int:
        """How many of those are not, and will be read again (`headrace.flow.aside`)."""
        return len(self._aside)

    @property
    def position(self) -> int:
        """The offset that is read next, as far as it is known."""
        return max(self.end or 0, self.committed or 0)

    @property
    def done(self) -> int:
        """How many offsets beyond the frontier need no more work."""
        frontier = self.frontier
        if frontier is None or self.end is None:
            return 0
        return self.end - frontier - self.unfinished + sum(stop - start for start, stop in self._ahead())

    @property
    def frontier(self) -> int | None:
        """The offset to commit: the lowest unfinished one, else the end of what was read; None before it is known."""
        return next(iter(self._open), self.end)

    def offset_map(self) -> OffsetMap:
        """Return what is known beyond the frontier, which must be known; in time by the unfinished records."""
        frontier = self.frontier
        assert frontier is not None
        _, stamp = self._open.get(frontier, (0, UNKNOWN))
        return OffsetMap(
            at=frontier,
            stamp=stamp,
            epoch=self._epoch,
            done=tuple(_joined(self._finished(frontier))),
            tried=dict(sorted(self._tried.items())),
        )

    def _finished(self, frontier: int) -> Iterator[Range]:
        after = frontier
        for offset in self._open:
            if offset > after:
                yield after, offset
            after = offset + 1
        if self.end is not None and self.end > after:
            yield after, self.end
        yield from self._ahead()

    def _ahead(self) -> Iterator[Range]:
        """Return what is done of what has not come yet."""
        end = self.end or 0
        return ((max(start, end), stop) for start, stop in self._skip if stop > end)

    def _inherit(self, known: OffsetMap) -> None:
        self._at, self._stamp, self._epoch = known.at, known.stamp, known.epoch
        self._inherited = known.end
        self._skip = deque(known.done)
        self._tried = dict(known.tried)

    def _disinherit(self) -> None:
        """Forget what was known of what has not come yet."""
        self._inherited = 0
        self._skip.clear()
        self._tried = {offset: one for offset, one in self._tried.items() if offset in self._open}

    def _deliver(self, offset: int, size: int, stamp: int, epoch: int) -> bool:
        self.place = offset + 1
        if self.end is not None and offset < self.end:
            return self._take_back(offset)
        if self._inherited and self._was_done(offset, stamp, epoch):
            self.end = offset + 1
            return False
        if epoch != self._epoch:
            self._epoch = max(self._epoch, epoch)
        self._open[offset] = (size, stamp)
        self.size += size
        self.ended = False
        self.end = offset + 1
        return True

    def _take_back(self, offset: int) -> bool:
        """Have a record in memory again that was set aside; False for any other."""
        if offset not in self._aside:
            return False
        self._aside.remove(offset)
        self.size += self._open[offset][0]
        return True

    def _set_aside(self, offset: int) -> None:
        if offset in self._open and offset not in self._aside:
            self._aside.add(offset)
            self.size -= self._open[offset][0]

    def _was_done(self, offset: int, stamp: int, epoch: int) -> bool:
        if not self._is_same_log(offset, stamp, epoch):
            self.mistrusted = True
            self._disinherit()
            return False
        if offset >= self._inherited:
            self._disinherit()
            return False
        while self._skip and self._skip[0][1] <= offset:
            self._skip.popleft()
        return bool(self._skip) and self._skip[0][0] <= offset

    def _is_same_log(self, offset: int, stamp: int, epoch: int) -> bool:
        """Whether the map may speak of this record: its first must be as it was, and none be written by a later leader.

        Leaders that come after a truncation have a higher epoch than any before.
        """
        if self.end is None and not self._begins_as_told(offset, stamp):
            return False
        return offset >= self._inherited or self._epoch == UNKNOWN or epoch <= self._epoch

    def _begins_as_told(self, offset: int, stamp: int) -> bool:
        """Where the map knows no record at its first offset, because nobody had come so far, a gap may lie there."""
        return offset >= self._at if self._stamp == UNKNOWN else (offset, stamp) == (self._at, self._stamp)

    def _reach(self, offset: int) -> None:
        if self.end is None and self._inherited:
            self.mistrusted = True
            self._disinherit()
        self.end = offset if self.end is None else max(self.end, offset)
        self.place = self.end
        self.ended = True

    def _complete(self, offset: int) -> bool:
        found = self._open.pop(offset, None)
        if found is None:
            return False
        self.size -= found[0]
        if self._tried:
            self._tried.pop(offset, None)
        return True


def _joined(ranges: Iterator[Range]) -> Iterator[Range]:
    """Return the ranges, with those that touch as one."""
    last: Range | None = None
    for one in ranges:
        if last is not None and last[1] == one[0]:
            last = (last[0], one[1])
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


class Ledger:
    """All partitions that are ours now."""

    def __init__(self) -> None:
        self._owned: dict[Partition, Assignment] = {}

    @property
    def owned(self) -> tuple[Assignment, ...]:
        """The partitions that are ours, as assigned this time."""
        return tuple(self._owned.values())

    @property
    def unfinished(self) -> int:
        """Records delivered and not finished, over all partitions."""
        return sum(assignment.unfinished for assignment in self._owned.values())

    @property
    def size(self) -> int:
        """Bytes that the unfinished records weigh."""
        return sum(assignment.size for assignment in self._owned.values())

    def assign(
        self, topic: str, partition: int, committed: int | None = None, known: OffsetMap | None = None
    ) -> Assignment:
        """Begin a new time of owning a partition, whose group has ``committed`` this offset, with that map."""
        assignment = Assignment(topic, partition, committed, known)
        before = self._owned.get(assignment.name)
        if before is not None:
            before.is_current = False
        assignment.is_current = True
        self._owned[assignment.name] = assignment
        return assignment

    def renew(self, before: Assignment, offset: int | None) -> Assignment:
        """Begin a new time at ``offset`` in another log, or where it was, with all that is known, for None.

        One that is stopped stays so, and its keys that wait do; where it was, what was suspect and comes stays so, too.
        """
        renewed = self._renewed(before, offset)
        if offset is None and before.suspects:
            renewed.suspects = before.suspects + before.unfinished
        renewed.stopped, renewed.halted = before.stopped, before.stopped is not None
        renewed.sequences, renewed.first, renewed.parkers = before.sequences, before.first, before.parkers
        return renewed

    def _renewed(self, before: Assignment, offset: int | None) -> Assignment:
        if offset is not None:
            return self.assign(*before.name, offset)
        if before.frontier is None:
            return self.assign(*before.name, before.committed, before.initial)
        return self.assign(*before.name, before.frontier, before.offset_map())

    def find(self, topic: str, partition: int) -> Assignment | None:
        """Return the present assignment of a partition, or None when it is not ours."""
        return self._owned.get((topic, partition))

    def revoke(self, assignment: Assignment) -> None:
        """Forget a partition; what is completed for it later is stale."""
        assignment.given_away = True
        if assignment.is_current:
            assignment.is_current = False
            del self._owned[assignment.name]

    def deliver(
        self, assignment: Assignment, offset: int, size: int, stamp: int = UNKNOWN, epoch: int = UNKNOWN
    ) -> bool:
        """Note a record given to us; False when it is stale, or was delivered or done before: it must not be handled.

        ``stamp`` is its timestamp in milliseconds, ``epoch`` that of the leader that wrote it.
        """
        return assignment.is_current and assignment._deliver(offset, size, stamp, epoch)

    def set_aside(self, assignment: Assignment, offset: int) -> None:
        """Note that an unfinished record is in memory no more, and may be delivered once again."""
        if assignment.is_current:
            assignment._set_aside(offset)

    def tried(self, assignment: Assignment, offset: int) -> Tried | None:
        """Return how an unfinished record was tried before, None when it was not."""
        return assignment._tried.get(offset)

    def note(self, assignment: Assignment, offset: int, tried: Tried) -> None:
        """Note how an unfinished record was tried; nothing when it is not ours or finished."""
        if assignment.is_current and offset in assignment._open:
            assignment._tried[offset] = tried

    def reach(self, topic: str, partition: int, offset: int) -> None:
        """Note that all records below ``offset`` were delivered: what else lies below is no record."""
        assignment = self.find(topic, partition)
        if assignment is not None:
            assignment._reach(offset)

    def complete(self, assignment: Assignment, offset: int) -> bool:
        """Note that a record is finished; False when its partition is no longer ours."""
        return assignment.is_current and assignment._complete(offset)
