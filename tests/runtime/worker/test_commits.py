"""What a commit may tell is bounded: a partition of which there is too much to tell is not read on for a while."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from headrace.flow import offset_map
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import Tried
from headrace.flow.partitions import Partition
from headrace.kafka.answers import Then
from headrace.kafka.consumer import CommitFailed, Committed
from headrace.load import LoadReport
from headrace.metrics import Metrics
from headrace.progress import LONGEST, decode
from headrace.worker.commits import CROWDED, Commits
from headrace.worker.ownership import Ownership
from headrace.worker.pauses import Pauses
from tests.runtime.configs import BILLING


class Group:
    """Kafka's side: what is committed, and which partitions are read; it takes ``room`` characters of metadata.

    None once it ``has_others``. Where it ``answers``, it does so at once.
    """

    def __init__(self, room: int = LONGEST) -> None:
        self.room = room
        self.has_others = False
        self.answers = True
        self.thens: list[Then] = []
        self.committed: dict[Partition, tuple[int, str]] = {}
        self.paused: set[Partition] = set()

    def commit(self, offsets: Iterable[tuple[Partition, int, str]], then: Then | None = None) -> None:
        asked = list(offsets)
        if asked and self.has_others:
            raise CommitFailed("ILLEGAL_GENERATION")
        for at, offset, text in asked:
            assert len(text) <= self.room
            self.committed[at] = (offset, text)
        if then is not None:
            self.thens.append(then)
            if self.answers:
                self.answer(taken=True)

    def answer(self, *, taken: bool) -> None:
        """Answer what waits for it."""
        thens, self.thens = self.thens, []
        for then in thens:
            then(taken)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self.paused |= set(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self.paused -= set(partitions)


class Load:
    """A pod's load, told with the first partition; ``report`` is what is told now."""

    teller: Assignment | None = None

    def __init__(self) -> None:
        self.report: LoadReport | None = None

    def look(self, now: float, assignments: Iterable[Assignment]) -> None:
        self.teller = next(iter(assignments), None)

    def told_with(self, assignment: Assignment) -> LoadReport | None:
        return self.report if assignment is self.teller else None


class Work:
    """Two partitions of which one has thousands of records in back-off, here and there in a long log."""

    def __init__(self, room: int = LONGEST) -> None:
        self.group = Group(room)
        self.ledger = Ledger()
        metrics = Metrics(BILLING)
        self.load = Load()
        self.commits = Commits(self.group, self.ledger, metrics, lambda assignment: (0, 0), self.load, "")  # type: ignore[arg-type]
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


@pytest.mark.parametrize("has_others", [False, True])
def test_who_stood_still_before_it_read_anything_asks_whether_what_it_was_given_is_its_own(
    has_others: bool,
) -> None:
    """Given at 100, it goes on at 200: the group is asked by a commit of what was committed."""
    work = Work()
    for assignment in work.assignments:
        work.ledger.revoke(assignment)
    lease = Lease(20, 0.0)
    ownership = Ownership(lease, work.commits, work.ledger)
    ownership.begin(100.0)
    work.commits.assign(("orders", 1), Committed(70, "somebody's"))
    work.group.has_others = has_others
    assert ownership.is_sure(200.0) != has_others
    assert lease.holds(210.0) != has_others
    assert work.group.committed == ({} if has_others else {("orders", 1): (70, "somebody's")})


def stood_still() -> tuple[Work, Lease, Ownership]:
    """Return a pod that is asking its group, at 200, whether its partitions are its own."""
    work, lease = Work(), Lease(20, 0.0)
    ownership = Ownership(lease, work.commits, work.ledger)
    work.group.answers = False
    assert not ownership.is_sure(200.0)
    return work, lease, ownership


@pytest.mark.case("delivery-1")
def test_who_stood_still_is_sure_once_the_group_has_answered_and_as_of_when_it_asked() -> None:
    work, lease, ownership = stood_still()
    assert not ownership.is_sure(210.0)
    assert len(work.group.thens) == 1
    work.group.answer(taken=True)
    assert lease.holds(219.0)
    assert not lease.holds(221.0)
    assert ownership.is_sure(219.0)


@pytest.mark.case("delivery-1")
def test_who_stood_still_and_is_refused_asks_again() -> None:
    work, _, ownership = stood_still()
    work.group.answer(taken=False)
    assert not ownership.is_sure(201.0)
    work.group.answer(taken=True)
    assert ownership.is_sure(202.0)


REPORT = LoadReport(pod="p" * 63, end=1_795_863_600, window=5003, busy=375, handled=1234, cause="c" * 80)


def test_a_load_is_told_with_one_partition_and_anew_only_when_it_changed() -> None:
    work = Work()
    work.load.report = REPORT
    work.tick()
    assert {at: _load(text) for at, (_, text) in work.group.committed.items()} == {
        ("orders", 0): REPORT,
        ("orders", 1): None,
    }
    work.group.committed.clear()
    work.tick()
    assert work.group.committed == {}
    work.load.report = replace(REPORT, end=REPORT.end + 5)
    work.tick()
    assert set(work.group.committed) == {("orders", 0)}


@pytest.mark.parametrize("room", [LONGEST, 1500, 800, 300, 60])
def test_a_load_takes_no_room_from_the_map(room: int) -> None:
    """Up to where no more records are read, what is done is told whole, whether a load is told as well or not."""
    alone, both = Work(room), Work(room)
    both.load.report = REPORT
    for work in (alone, both):
        offsets, first = random.Random(4).sample(range(1, 90_000), 5_000), work.assignments[0]
        for offset in offsets:
            if offset_map.least(first.offset_map()) > CROWDED * room:
                break
            if offset >= (first.end or 0):
                work.fail(first, [offset])
        work.tick()
    assert _done(both) == _done(alone)
    assert (_load(both.group.committed["orders", 0][1]) is None) == (room < 1200)


def _load(text: str) -> LoadReport | None:
    told = decode(text)
    return told.load if told else None


def _done(work: Work) -> object:
    told = decode(work.group.committed["orders", 0][1])
    known = offset_map.decode(told.map) if told else None
    return known and known.done
