"""What a commit may tell is bounded: a partition of which there is too much to tell is not read on for a while."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from headrace.flow import offset_map
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import Tried
from headrace.flow.partitions import Partition
from headrace.metrics import Metrics
from headrace.progress import LONGEST, decode
from headrace.worker.commits import Commits
from headrace.worker.pauses import Pauses
from tests.runtime.configs import BILLING


class Group:
    """Kafka's side: what is committed, and which partitions are read; it takes ``room`` characters of metadata."""

    def __init__(self, room: int = LONGEST) -> None:
        self.room = room
        self.committed: dict[Partition, tuple[int, str]] = {}
        self.paused: set[Partition] = set()

    def commit(self, offsets: Iterable[tuple[Partition, int, str]], *, wait: bool) -> None:
        for at, offset, text in offsets:
            assert len(text) <= self.room
            self.committed[at] = (offset, text)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self.paused |= set(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self.paused -= set(partitions)


class Work:
    """Two partitions of which one has thousands of records in back-off, here and there in a long log."""

    def __init__(self, room: int = LONGEST) -> None:
        self.group = Group(room)
        self.ledger = Ledger()
        metrics = Metrics(BILLING)
        self.commits = Commits(self.group, self.ledger, metrics, lambda assignment: (0, 0))  # type: ignore[arg-type]
        self.pauses = Pauses(self.group, metrics)  # type: ignore[arg-type]
        self.now = 0.0
        self.assignments = [self.ledger.assign("orders", number, 0) for number in (0, 1)]
        for assignment in self.assignments:
            self.fail(assignment, [0])

    def fail(self, assignment: Assignment, offsets: Iterable[int]) -> None:
        draw = random.Random(5)
        for offset in offsets:
            self.ledger.deliver(assignment, offset, 1)
            self.ledger.note(assignment, offset, Tried(draw.randint(2, 8), due=1_764_316_800 + draw.randrange(600)))

    def tick(self) -> None:
        self.now += 1.5
        self.commits.when_due(self.now)
        self.pauses.set_crowded(self.commits.crowded)


@pytest.mark.case("delivery-3")
def test_of_too_many_failing_records_no_more_is_read_until_fewer_fail() -> None:
    work = Work()
    offsets = sorted(random.Random(4).sample(range(1, 40_000), 2_500))
    work.fail(work.assignments[0], offsets)
    work.tick()
    assert work.group.paused == {("orders", 0)}
    work.pauses.begin(work.assignments)
    work.pauses.end()
    assert work.group.paused == {("orders", 0)}
    for offset in offsets[200:]:
        work.ledger.complete(work.assignments[0], offset)
    work.tick()
    assert work.group.paused == set()


@pytest.mark.parametrize("room", [LONGEST, 1000, 200, 60, 10, 0])
def test_what_is_told_fits_and_is_true(room: int) -> None:
    work = Work(room)
    work.fail(work.assignments[0], sorted(random.Random(4).sample(range(1, 90_000), 5_000)))
    work.tick()
    offset, text = work.group.committed["orders", 0]
    assert offset == 0
    told = decode(text)
    known = offset_map.decode(told.map) if told else None
    whole = work.assignments[0].offset_map()
    assert (told is not None) == (room > 20)
    assert known is None or known.done == whole.done[: len(known.done)]


def test_nothing_is_committed_while_nothing_changes() -> None:
    work = Work()
    work.tick()
    work.group.committed.clear()
    work.tick()
    assert work.group.committed == {}
    work.fail(work.assignments[1], [7])
    work.tick()
    assert set(work.group.committed) == {("orders", 1)}
