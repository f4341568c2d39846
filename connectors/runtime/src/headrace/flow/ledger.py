"""Which offsets are safe to commit: for each partition the lowest delivered offset that is not finished.

Only delivered offsets count, so gaps left by compaction or transactions are harmless; where all is finished, the end
that the client has reached counts, which lies beyond transaction markers. Pure: no Kafka, no clock.
The poll thread alone owns a ledger.
"""

from __future__ import annotations

from headrace.progress import Progress


class Assignment:
    """One time that a partition was ours; a later time is another object, so late answers are told apart by it.

    ``given_away`` is the fence: once it is set, nothing begins for the partition and nothing is written for it. Any
    thread may read it. ``told`` is the progress that went with the last commit, None before one.
    """

    __slots__ = ("_open", "committed", "end", "given_away", "partition", "size", "told", "topic")

    def __init__(self, topic: str, partition: int, committed: int | None = None) -> None:
        self.topic = topic
        self.partition = partition
        self.end: int | None = None
        self.committed = committed
        self.size = 0
        self.given_away = False
        self.told: Progress | None = None
        self._open: dict[int, int] = {}

    @property
    def unfinished(self) -> int:
        """How many delivered records are not finished."""
        return len(self._open)

    @property
    def done(self) -> int:
        """How many offsets beyond the frontier need no more work."""
        frontier = self.frontier
        return 0 if frontier is None or self.end is None else self.end - frontier - self.unfinished

    @property
    def frontier(self) -> int | None:
        """The offset to commit: the lowest unfinished one, else the end of what was read; None before it is known."""
        return next(iter(self._open), self.end)

    def _deliver(self, offset: int, size: int) -> bool:
        if self.end is not None and offset < self.end:
            return False
        self._open[offset] = size
        self.size += size
        self.end = offset + 1
        return True

    def _reach(self, offset: int) -> None:
        self.end = offset if self.end is None else max(self.end, offset)

    def _complete(self, offset: int) -> bool:
        size = self._open.pop(offset, None)
        self.size -= size or 0
        return size is not None


class Ledger:
    """All partitions that are ours now."""

    def __init__(self) -> None:
        self._owned: dict[tuple[str, int], Assignment] = {}

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

    def assign(self, topic: str, partition: int, committed: int | None = None) -> Assignment:
        """Begin a new time of owning a partition, whose group has ``committed`` this offset."""
        assignment = Assignment(topic, partition, committed)
        self._owned[topic, partition] = assignment
        return assignment

    def find(self, topic: str, partition: int) -> Assignment | None:
        """Return the present assignment of a partition, or None when it is not ours."""
        return self._owned.get((topic, partition))

    def revoke(self, assignment: Assignment) -> None:
        """Forget a partition; what is completed for it later is stale."""
        assignment.given_away = True
        if self._is_current(assignment):
            del self._owned[assignment.topic, assignment.partition]

    def deliver(self, assignment: Assignment, offset: int, size: int) -> bool:
        """Note a record given to us; False when it is stale or was delivered before and must not be handled."""
        return self._is_current(assignment) and assignment._deliver(offset, size)

    def reach(self, topic: str, partition: int, offset: int) -> None:
        """Note that all records below ``offset`` were delivered: what else lies below is no record."""
        assignment = self.find(topic, partition)
        if assignment is not None:
            assignment._reach(offset)

    def complete(self, assignment: Assignment, offset: int) -> bool:
        """Note that a record is finished; False when its partition is no longer ours."""
        return self._is_current(assignment) and assignment._complete(offset)

    def due(self) -> list[tuple[Assignment, int]]:
        """Return the partitions whose frontier differs from what is committed, with the offset to commit."""
        pairs = ((assignment, assignment.frontier) for assignment in self._owned.values())
        return [(known, offset) for known, offset in pairs if offset is not None and offset != known.committed]

    def _is_current(self, assignment: Assignment) -> bool:
        return self._owned.get((assignment.topic, assignment.partition)) is assignment
