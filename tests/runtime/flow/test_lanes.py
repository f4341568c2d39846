"""Lanes never run two records of a key at once or out of order, and a waiting key holds nobody else."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.ledger import Assignment
from headrace.record import Position, Record

PLACES = [("orders", 0), ("orders", 1), ("retry", 0)]
KEYS = st.sampled_from([b"a", b"b", None])


def job(assignment: Assignment, offset: int, key: bytes | None, origin: Position | None = None) -> Job:
    return Job(
        assignment,
        Record(
            topic=assignment.topic,
            partition=assignment.partition,
            offset=offset,
            key=key,
            value=b"",
            origin=origin,
        ),
    )


def assigned(place: tuple[str, int]) -> Assignment:
    """Keys of a source may be parked, what comes from the retry topic never is."""
    assignment = Assignment(*place)
    assignment.parks = place[0] == "orders"
    return assignment


class LanesMachine(RuleBasedStateMachine):
    """Random arrivals, outcomes, time and rebalances, beside a model of what each lane holds and must do next."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.assignments = {place: assigned(place) for place in PLACES}
        self.offset = 0
        self.now = 0.0
        self.queues: defaultdict[Lane, list[Job]] = defaultdict(list)
        self.due: dict[Lane, float] = {}
        self.running: list[Job] = []
        self.failed: set[Job] = set()

    @rule(place=st.sampled_from(PLACES), key=KEYS, failed=st.none() | st.floats(0, 5))
    def add(self, place: tuple[str, int], key: bytes | None, failed: float | None) -> None:
        """A record arrives; it may have failed before, elsewhere. One of the retry topic shares its source's lane."""
        self.offset += 1
        origin = Position("orders", place[1], 7) if place[0] == "retry" else None
        added = job(self.assignments[place], self.offset, key, origin)
        added.attempt = 1 if failed is None else 2
        due = None if failed is None else self.now + failed
        self.lanes.add(added, due)
        queue = self.queues[added.lane]
        queue.append(added)
        if due is not None and queue == [added]:
            self.due[added.lane] = due
            self.failed.add(added)

    @rule(count=st.integers(1, 4))
    def take(self, count: int) -> None:
        for _ in range(count):
            self._take()

    def _take(self) -> None:
        could = [queue[0] for lane, queue in self.queues.items() if queue and self._may_run(lane)]
        taken = self.lanes.take()
        assert taken is min(could, key=lambda one: one.number, default=None), "not the one that arrived first"
        if taken is not None:
            self.running.append(taken)

    def _may_run(self, lane: Lane) -> bool:
        return lane not in self.due and lane not in {one.lane for one in self.running}

    @precondition(lambda self: self.running)
    @rule(data=st.data(), wait=st.none() | st.floats(0, 5), counts=st.booleans())
    def end(self, data: st.DataObject, wait: float | None, counts: bool) -> None:
        ended = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if wait is None:
            self._finish(ended)
        else:
            ended.attempt += counts
            (self.lanes.delay if counts else self.lanes.postpone)(ended, self.now + wait)
            self.due[ended.lane] = self.now + wait
            self.failed.add(ended)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """What was taken and has not begun stays where it was in its lane, and may be taken again."""
        self.lanes.give_back(self.running.pop(data.draw(st.integers(0, len(self.running) - 1))))

    def _finish(self, ended: Job) -> None:
        self.lanes.finish(ended)
        assert self.queues[ended.lane].pop(0) is ended

    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        """What comes from the source leaves its lane in order, but for what runs; the rest stays."""
        loads = {load.lane: load for load in self.lanes.loads()}
        if not loads:
            return
        lane = data.draw(st.sampled_from(sorted(loads, key=repr)))
        head, queue = self.queues[lane][0], self.queues[lane]
        taken = [one for one in queue if one.assignment.parks and one not in self.running]
        assert loads[lane].records == len(taken)
        assert loads[lane].failing == (head in self.failed and head.attempt > 1)
        assert not (loads[lane].failing and head in self.running)
        assert self.lanes.park([lane]) == taken
        self.queues[lane] = [one for one in queue if one not in taken]
        if head in taken:
            self.due.pop(lane, None)

    @rule(step=st.floats(0, 3))
    def pass_time(self, step: float) -> None:
        self.now += step
        self._wake(self.now)

    def _wake(self, now: float) -> None:
        due = self.lanes.wake(now)
        self.due = {lane: when for lane, when in self.due.items() if when > now}
        assert due == min(self.due.values(), default=None)

    @rule(place=st.sampled_from(PLACES))
    def drain_and_give_away(self, place: tuple[str, int]) -> None:
        """What runs is finished first; nothing else begins for the partition."""
        leaving = self.assignments[place]
        self.lanes.drop([leaving])
        self._drop(leaving)
        for one in [one for one in self.running if one.assignment is leaving]:
            self.running.remove(one)
            self._finish(one)
        assert self.lanes.pending([leaving]) == 0
        self.lose(place)

    @rule(place=st.sampled_from(PLACES))
    def lose(self, place: tuple[str, int]) -> None:
        lost = self.assignments[place]
        self.lanes.drop([lost])
        self._drop(lost)
        assert self.lanes.pending([lost]) == sum(one.assignment is lost for one in self.running)
        self.assignments[place] = assigned(place)

    def _drop(self, leaving: Assignment) -> None:
        """Take from the model all of a partition but what runs."""
        for lane, queue in self.queues.items():
            if queue and queue[0].assignment is leaving:
                self.due.pop(lane, None)
            self.queues[lane] = [one for one in queue if one.assignment is not leaving or one in self.running]

    @invariant()
    def nothing_is_lost(self) -> None:
        """What was added, and neither finished nor given away, is there, in its order."""
        assert {lane: list(queue) for lane, queue in self.lanes._queues.items()} == {
            lane: queue for lane, queue in self.queues.items() if queue
        }
        assert self.lanes.running == len(self.running)
        assert self.lanes.waiting == len(self.due)

    @invariant()
    def a_key_whose_head_failed_holds_what_is_behind_it(self) -> None:
        """Counted anew from all that is queued, it is what was counted as it came and went."""
        heads = [(queue[0], queue) for queue in self.queues.values() if queue and queue[0] in self.failed]
        for one in self.assignments.values():
            keys = sum(head.assignment is one for head, _ in heads)
            records = sum(waiting.assignment is one for _, queue in heads for waiting in queue)
            assert self.lanes.retrying(one) == (keys, records)

    def teardown(self) -> None:
        """In the end everything that is queued runs, in its order."""
        for one in self.running:
            self._finish(one)
        self.running = []
        self._wake(float("inf"))
        while any(self.queues.values()):
            self._take()
            self._finish(self.running.pop())
        assert self.lanes.take() is None
        assert self.lanes.pending(list(self.assignments.values())) == 0
        assert all(self.lanes.retrying(one) == (0, 0) for one in self.assignments.values())


TestLanes = LanesMachine.TestCase


def test_a_waiting_head_holds_only_its_own_key() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset, key in enumerate((b"a", b"a", b"b")):
        lanes.add(job(assignment, offset, key))
    first = lanes.take()
    assert first is not None
    lanes.delay(first, due=10.0)
    other = lanes.take()
    assert other is not None
    assert other.record.key == b"b"
    assert lanes.take() is None
    assert lanes.wake(10.0) is None
    assert lanes.take() is first


def test_lanes_of_all_kinds_may_be_due_at_once() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset, key in enumerate((b"a", None, b"b")):
        lanes.add(job(assignment, offset, key))
    for one in [lanes.take() for _ in range(3)]:
        assert one is not None
        lanes.delay(one, due=1.0)
    assert lanes.wake(1.0) is None
    assert lanes.ready == 3


def test_what_arrived_first_runs_first() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset, key in enumerate((b"busy", b"busy", b"a", b"b")):
        lanes.add(job(assignment, offset, key))
    order = []
    while (taken := lanes.take()) is not None:
        order.append(taken.record.offset)
        lanes.finish(taken)
    assert order == [0, 1, 2, 3]


def test_what_is_postponed_runs_after_what_has_arrived_by_then() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset, key in enumerate((b"a", b"b", b"c")):
        lanes.add(job(assignment, offset, key))
    tried = []
    for now in range(6):
        taken = lanes.take()
        assert taken is not None
        tried.append(taken.record.key)
        lanes.postpone(taken, due=now + 1.0)
        lanes.wake(now + 1.0)
    assert tried == [b"a", b"b", b"c"] * 2


def test_records_without_a_key_run_side_by_side() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset in range(3):
        lanes.add(job(assignment, offset, None))
    assert [lanes.take() is not None for _ in range(4)] == [True, True, True, False]


def test_a_redriven_record_shares_the_lane_of_its_source() -> None:
    lanes = Lanes()
    redriven = job(Assignment("retry", 3), 0, b"a", Position("orders", 3, 17))
    lanes.add(redriven)
    lanes.add(job(Assignment("orders", 3), 20, b"a"))
    assert lanes.take() is redriven
    assert lanes.take() is None


@pytest.mark.case("delivery-3")
def test_of_a_partition_that_is_given_away_only_what_runs_is_kept() -> None:
    """However many a busy key has in its lane, and however far other keys are."""
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset, key in ((0, b"a"), (1, b"a"), (2, b"b"), (3, b"a")):
        lanes.add(job(assignment, offset, key))
    started = [lanes.take(), lanes.take()]
    lanes.drop([assignment])
    assert lanes.pending([assignment]) == 2
    for one in started:
        assert one is not None
        lanes.finish(one)
    assert lanes.take() is None
    assert lanes.pending([assignment]) == 0


def test_a_record_that_failed_elsewhere_waits_and_holds_its_key() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    lanes.add(job(assignment, 0, b"a"), due=10.0)
    lanes.add(job(assignment, 1, b"a"))
    assert lanes.take() is None
    assert lanes.retrying(assignment) == (1, 2)
    assert lanes.wake(10.0) is None
    taken = lanes.take()
    assert taken is not None
    assert taken.record.offset == 0


def failing(lanes: Lanes, assignment: Assignment) -> tuple[list[Lane], list[Lane]]:
    """What counts as failing, of all and of the partition."""
    return [load.lane for load in lanes.loads() if load.failing], lanes.failing(assignment)


def test_a_key_fails_by_an_attempt_and_not_while_it_waits_for_a_target_or_a_store() -> None:
    lanes, assignment = Lanes(), assigned(("orders", 0))
    for offset, key in enumerate((b"waits", b"fails")):
        lanes.add(job(assignment, offset, key))
    waits, fails = lanes.take(), lanes.take()
    assert waits is not None
    assert fails is not None
    lanes.postpone(waits, due=10.0)
    fails.attempt += 1
    lanes.delay(fails, due=10.0)
    assert {load.lane[2]: load.failing for load in lanes.loads()} == {b"waits": False, b"fails": True}
    assert lanes.failing(assignment) == [fails.lane]


def test_a_key_that_fails_is_left_alone_while_its_head_runs() -> None:
    """Else what is behind the head would be parked without it, and the head never could be."""
    lanes, assignment = Lanes(), assigned(("orders", 0))
    for offset in range(2):
        lanes.add(job(assignment, offset, b"a"))
    head = lanes.take()
    assert head is not None
    head.attempt += 1
    lanes.delay(head, due=1.0)
    assert failing(lanes, assignment) == ([head.lane], [head.lane])
    lanes.wake(1.0)
    assert lanes.take() is head
    assert list(lanes.loads()) == []
    assert failing(lanes, assignment) == ([], [])
