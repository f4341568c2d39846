"""Lanes never run two records of a key at once or out of order, and a waiting key holds nobody else."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.ledger import Assignment
from headrace.record import Position, Record


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


class LanesMachine(RuleBasedStateMachine):
    """Random arrivals, outcomes, time and rebalances, beside a model of what each lane must do next."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.assignments = {number: Assignment("orders", number) for number in (0, 1)}
        self.offset = 0
        self.now = 0.0
        self.running: list[Job] = []
        self.last: dict[tuple[Assignment, Lane], int] = {}
        self.finished: set[int] = set()
        self.failed: set[int] = set()

    @rule(number=st.sampled_from([0, 1]), key=st.sampled_from([b"a", b"b", b"c", None]))
    def add(self, number: int, key: bytes | None) -> None:
        self.offset += 1
        self.lanes.add(job(self.assignments[number], self.offset, key))

    @rule()
    def take(self) -> None:
        taken = self.lanes.take()
        if taken is None:
            assert self.lanes.ready == 0
            return
        assert taken.lane not in {one.lane for one in self.running}, "two of a key at once"
        place = (taken.assignment, taken.lane)
        assert taken.record.offset >= self.last.get(place, -1), "out of order"
        assert taken.record.offset not in self.finished
        self.last[place] = taken.record.offset
        self.running.append(taken)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), wait=st.none() | st.floats(0, 5))
    def end(self, data: st.DataObject, wait: float | None) -> None:
        ended = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if wait is None:
            self.lanes.finish(ended)
            self.finished.add(ended.record.offset)
        else:
            self.lanes.delay(ended, self.now + wait)
            self.failed.add(ended.record.offset)

    @rule(step=st.floats(0, 3))
    def pass_time(self, step: float) -> None:
        self.now += step
        due = self.lanes.wake(self.now)
        assert due is None or due > self.now

    @rule(number=st.sampled_from([0, 1]))
    def drain_and_give_away(self, number: int) -> None:
        leaving = self.assignments[number]
        self.lanes.drain([leaving])
        while self.lanes.pending([leaving]):
            taken = self.lanes.take()
            if taken is not None:
                self.running.append(taken)
                continue
            self.lanes.finish(self.running.pop())
        self.lanes.forget([leaving])
        self.assignments[number] = Assignment("orders", number)

    @rule(number=st.sampled_from([0, 1]))
    def lose(self, number: int) -> None:
        lost = self.assignments[number]
        self.lanes.forget([lost])
        assert self.lanes.pending([lost]) == sum(one.assignment is lost for one in self.running)
        self.assignments[number] = Assignment("orders", number)

    @invariant()
    def running_is_known(self) -> None:
        assert self.lanes.running == len(self.running)

    @invariant()
    def a_key_whose_head_failed_holds_what_is_behind_it(self) -> None:
        """Counted anew from all that is queued, it is what was counted as it came and went."""
        heads = [(queue[0], queue) for queue in self.lanes._queues.values() if queue[0].record.offset in self.failed]
        for one in self.assignments.values():
            keys = sum(head.assignment is one for head, _ in heads)
            records = sum(waiting.assignment is one for _, queue in heads for waiting in queue)
            assert self.lanes.retrying(one) == (keys, records)

    def teardown(self) -> None:
        """In the end everything that was queued runs."""
        for one in self.running:
            self.lanes.finish(one)
        self.lanes.wake(float("inf"))
        while (taken := self.lanes.take()) is not None:
            self.lanes.finish(taken)
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


def test_draining_keeps_what_is_older_than_a_started_record() -> None:
    lanes, assignment = Lanes(), Assignment("orders", 0)
    for offset, key in ((0, b"a"), (1, b"a"), (2, b"b"), (3, b"a")):
        lanes.add(job(assignment, offset, key))
    started = [lanes.take(), lanes.take()]
    lanes.drain([assignment])
    assert lanes.pending([assignment]) == 3
    for one in started:
        assert one is not None
        lanes.finish(one)
    last = lanes.take()
    assert last is not None
    assert last.record.offset == 1
    lanes.finish(last)
    assert lanes.take() is None
