"""Parked keys, beside a model of source and retry topic: nothing is lost, order holds, only a crash repeats."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from headrace import headers
from headrace.flow import aside
from headrace.flow.budget import HIGH, HIGH_BYTES, LOW
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job, Lanes, Load
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import OffsetMap, Tried
from headrace.flow.parking import beyond, crowding, parked_among, tried_of
from headrace.flow.seen import Seen
from headrace.metrics import Metrics
from headrace.progress import Parker
from headrace.record import Headers, Position, Record
from headrace.worker.keys import Keys
from tests.runtime.configs import BILLING

SOURCE, RETRY = "orders", BILLING.topics.retry
KEYS = st.sampled_from([b"a", b"a", b"a", b"a", b"b", None])


class Pod:
    """One process: the ledger, lanes and keys of both partitions, from what was committed; what leaves is `leaving`."""

    def __init__(self, source: OffsetMap, retry: OffsetMap, log: list[Record]) -> None:
        self.ledger, self.lanes = Ledger(), Lanes()
        self.is_away = False
        metrics = Metrics(BILLING)
        self.keys = Keys(BILLING, self.lanes, metrics, deque(), changed=lambda: None, is_away=lambda: self.is_away)
        self.source = self.ledger.assign(SOURCE, 0, source.at, source)
        self.retry = self.ledger.assign(RETRY, 0, retry.at, retry)
        self.source.parks = True
        found = list(parked_among(log, "Key", retry)) if log[retry.at :] else []
        self.keys.begin(0, found, Parker(len(log), secrets.token_hex(8)), {})
        self.beyond = beyond(found, {}).get((SOURCE, 0), -1)
        self.running: list[Job] = []
        self.next = {SOURCE: source.at, RETRY: retry.at}

    @property
    def may_read_retry(self) -> bool:
        return self.next[SOURCE] > self.beyond

    def accept(self, assignment: Assignment, record: Record) -> None:
        """A record is read, as the poll thread and the dispatcher have it."""
        self.next[assignment.topic] = record.offset + 1
        if not self.ledger.deliver(assignment, record.offset, 1):
            return
        tried = self.ledger.tried(assignment, record.offset) or (tried_of(record) if record.parked else None)
        record = replace(record, attempt=tried.attempt if tried else 1)
        job = Job(assignment, record, "Key", tried)
        for one in self.keys.sort([job]):
            self.lanes.add(one)
        for done in self.keys.take_done():
            self.ledger.complete(done.assignment, done.record.offset)
        self._note_aside()

    def share_out(self) -> None:
        self.keys.share_out()
        self._note_aside()

    def _note_aside(self) -> None:
        while self.keys.aside:
            self.ledger.set_aside(*self.keys.aside.popleft())

    def look_back(self) -> None:
        """Read again what keys gave up and want, as the poll thread has it."""
        if self.retry.aside and self.retry.place == self.retry.end:
            self.keys.look_back(self.retry)
        while self.keys.again:
            one, offset = self.keys.again.popleft()
            self.next[RETRY] = one.place = offset

    def finish(self, job: Job) -> None:
        self.lanes.finish(job)
        self.keys.finish(job)
        self.ledger.complete(job.assignment, job.record.offset)

    def fail(self, job: Job) -> None:
        job.attempt += 1
        job.record = replace(job.record, attempt=job.attempt)
        job.tried = Tried(job.attempt, due=1, since=1)
        self.ledger.note(job.assignment, job.record.offset, job.tried)
        self.lanes.delay(job, 1.0)


class ParkingMachine(RuleBasedStateMachine):
    """Random arrivals, failures, parking, writes, commits, crashes and orderly hand-overs."""

    def __init__(self) -> None:
        super().__init__()
        self.source: list[Record] = []
        self.retry: list[Record] = []
        self.effects: list[int] = []
        self.attempts: dict[int, int] = {}
        self.repeatable: set[int] = set()
        self.committed = OffsetMap(at=0), OffsetMap(at=0)
        self.pod = Pod(*self.committed, self.retry)
        self.told = 0
        self.late: list[deque[Finished]] = []
        self.came_late: set[int] = set()

    @rule(key=KEYS, count=st.integers(1, 4))
    def produce(self, key: bytes | None, count: int) -> None:
        for _ in range(count):
            at = len(self.source)
            own: Headers = ((headers.FIRST, b"a trap"), ("headrace.redrive-count", b"3"))
            record = Record(topic=SOURCE, partition=0, offset=at, key=key, value=b"v", headers=own, timestamp=at)
            self.source.append(record)

    @rule(count=st.integers(1, 6))
    def read_source(self, count: int) -> None:
        start = self.pod.next[SOURCE]
        for record in self.source[start : start + count]:
            self.pod.accept(self.pod.source, record)

    @rule(count=st.integers(1, 6))
    def read_retry(self, count: int) -> None:
        start = self.pod.next[RETRY]
        for record in self.retry[start : start + count] if self.pod.may_read_retry else []:
            self.pod.accept(self.pod.retry, record)

    @rule()
    def share_out(self) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(aside, "LEFT", 4 / (aside.SHARE * LOW))
            self.pod.share_out()

    @rule()
    def look_back(self) -> None:
        self.pod.look_back()

    @rule()
    def take(self) -> None:
        job = self.pod.lanes.take()
        if job is not None:
            self.pod.running.append(job)

    @precondition(lambda self: self.pod.running)
    @rule(data=st.data(), fails=st.booleans())
    def end(self, data: st.DataObject, fails: bool) -> None:
        job = self.pod.running.pop(data.draw(st.integers(0, len(self.pod.running) - 1)))
        if fails and job.attempt < 9:
            self.pod.fail(job)
        else:
            self._succeed(job)

    def _succeed(self, job: Job) -> None:
        self.pod.finish(job)
        at = job.record.source.offset
        if at in self.effects:
            assert at in self.repeatable, f"{at} runs again"
        older = [one.offset for one in self.source[:at] if one.key == job.record.key is not None]
        assert set(older) <= set(self.effects), f"{at} runs before {set(older) - set(self.effects)}"
        self.effects.append(at)

    @rule(count=st.integers(1, 4))
    def work(self, count: int) -> None:
        for _ in range(count):
            job = self.pod.lanes.take()
            if job is not None:
                self._succeed(job)

    @rule()
    def wake(self) -> None:
        self.pod.lanes.wake(2.0)

    @rule(key=KEYS)
    def park(self, key: bytes | None) -> None:
        """Its head may have failed, run or not have begun; it may be parked already."""
        lanes = [load.lane for load in self.pod.lanes.loads() if isinstance(load.lane[2], bytes | None) == bool(key)]
        self.pod.keys._park([lane for lane in lanes if key is None or lane[2] == key])

    @rule(count=st.integers(1, 6), known=st.sampled_from([True, True, False]))
    def write(self, count: int, *, known: bool) -> None:
        """Where Kafka's answer does not come, the same are written once more, in order."""
        before = list(self.pod.keys.leaving)
        landed = self._land(count)
        if known:
            for one in landed:
                self.pod.ledger.complete(one.assignment, one.record.offset)
        else:
            self.pod.keys.leaving = deque(before)

    def _land(self, count: int) -> list[Finished]:
        """Kafka has the first of what is on the way; whoever wrote it may never learn so."""
        return self._append(self.pod.keys.leaving, count)

    def _append(self, leaving: deque[Finished], count: int) -> list[Finished]:
        landed = [leaving.popleft() for _ in range(min(count, len(leaving)))]
        self.retry += [self._parked(one, len(self.retry) + at) for at, one in enumerate(landed)]
        return landed

    def _parked(self, one: Finished, at: int) -> Record:
        assert one.letter is not None
        said = headers.decode(one.letter)
        assert headers.original(one.letter) == one.record.headers
        known = replace(one.record, topic=RETRY, offset=at, headers=one.letter, origin=said.origin)
        return replace(known, timestamp=said.timestamp, attempt=1 + (said.attempts or 0), parked=said.parked)

    @precondition(lambda self: self.late)
    @rule(data=st.data(), count=st.integers(1, 6))
    def land_some_late(self, data: st.DataObject, count: int) -> None:
        self.land_late(count, data.draw(st.integers(0, len(self.late) - 1)))

    def land_late(self, count: int, owner: int = 0) -> None:
        """What an owner before, which stood still, had on the way is written now."""
        start = len(self.retry)
        self._append(self.late[owner], count)
        self.came_late |= {*range(start, len(self.retry))}
        self.late = [one for one in self.late if one]

    def write_late(self, count: int) -> None:
        """The same, and it is read, and that committed."""
        self.land_late(count)
        self.read_retry(len(self.retry))
        self.commit()

    @rule()
    def commit(self) -> None:
        if self.pod.source.frontier is not None:
            self.committed = self.pod.source.offset_map(), self.committed[1]
        if self.pod.retry.frontier is not None:
            self.committed = self.committed[0], self.pod.retry.offset_map()
        self.told = len(self.effects)

    @rule(landed=st.integers(0, 4), crashes=st.booleans(), lots=st.integers(0, 2))
    def hand_over(self, landed: int, lots: int, *, crashes: bool) -> None:
        """What runs is left to the next, as is what was not written, or not known to be; a crash tells nothing.

        What was handled though it is not known to be written is not done in its source, and may run again. So may what
        was written late and was not read: the next owner does not know that it was late.
        """
        if lots:
            return
        self.repeatable |= {one.record.source.offset for one in self.pod.keys.leaving} & set(self.effects)
        self._land(landed)
        if crashes:
            self.repeatable |= set(self.effects[self.told :])
        else:
            self.commit()
        self.late += [self.pod.keys.leaving] if self.pod.keys.leaving else []
        unread = (at for at in self.came_late if at >= self.committed[1].at and not self.committed[1].has_done(at))
        self.repeatable |= {self.retry[at].source.offset for at in unread}
        self.pod = Pod(*self.committed, self.retry)

    def teardown(self) -> None:
        """In the end each record had its effect, and every key is live."""
        while self._goes_on():
            pass
        assert set(self.effects) == set(range(len(self.source)))
        assert not self.pod.keys._parking
        assert self.pod.source.unfinished == self.pod.retry.unfinished == 0

    def _goes_on(self) -> bool:
        before = (*self.pod.next.values(), len(self.effects), len(self.retry))
        self.look_back()
        self.read_source(100)
        self.write(100, known=True)
        self.read_retry(100)
        self.wake()
        self.take()
        while self.pod.running:
            self._succeed(self.pod.running.pop())
            self.take()
        return before != (*self.pod.next.values(), len(self.effects), len(self.retry))


class AsideMachine(ParkingMachine):
    """The same, where from the first two keys have more records in the retry topic than fit in memory."""

    @initialize()
    def begin(self) -> None:
        for _ in range(3):
            self.produce(b"a", 2)
            self.produce(b"b", 2)
        self.read_source(12)
        self.park(b"a")
        self.park(b"b")
        self.write(12, known=True)
        self.read_retry(12)
        self.share_out()
        assert self.pod.retry.aside


TestParking = ParkingMachine.TestCase
TestParking.settings = settings(max_examples=200, stateful_step_count=80)
TestAside = AsideMachine.TestCase
TestAside.settings = settings(max_examples=200, stateful_step_count=40)


def parked(*keys: bytes) -> ParkingMachine:
    """Two records of each key, all of them parked, written and read again."""
    machine = ParkingMachine()
    for key in keys:
        machine.produce(key, 2)
    machine.read_source(100)
    for key in keys:
        machine.park(key)
    machine.write(100, known=True)
    machine.read_retry(100)
    return machine


def test_a_copy_that_is_written_after_the_first_was_handled_runs_no_more() -> None:
    machine = ParkingMachine()
    machine.produce(b"a", 2)
    machine.read_source(2)
    machine.park(b"a")
    machine.write(2, known=False)
    machine.read_retry(2)
    machine.work(2)
    assert machine.effects == [0, 1]
    machine.teardown()
    assert machine.effects == [0, 1]


def test_a_copy_that_was_passed_over_says_nothing_of_the_first_that_still_waits() -> None:
    """It counts as done when the partition is given away; the first has not run."""
    machine = ParkingMachine()
    machine.produce(b"a", 1)
    machine.read_source(1)
    machine.park(b"a")
    machine.write(1, known=False)
    machine.write(1, known=True)
    machine.read_retry(2)
    machine.hand_over(0, 0, crashes=False)
    machine.teardown()
    assert machine.effects == [0]


def test_what_a_former_owner_writes_late_does_not_run_before_its_older_one() -> None:
    """Of the same two records this owner's own copies are on the way behind it."""
    machine = ParkingMachine()
    machine.produce(b"a", 2)
    machine.read_source(2)
    machine.park(b"a")
    machine.hand_over(0, 0, crashes=False)
    machine.read_source(2)
    machine.write_late(1)
    machine.park(b"a")
    machine.write_late(1)
    machine.teardown()
    assert machine.effects == [0, 1]


def test_what_was_written_late_and_passed_over_says_nothing_of_the_owners_copy_behind_it() -> None:
    """The late copy counts as done when the partition is given away; the record has not run."""
    machine = ParkingMachine()
    machine.produce(b"a", 2)
    machine.read_source(1)
    machine.park(b"a")
    machine.hand_over(0, 0, crashes=False)
    machine.read_source(1)
    machine.write_late(1)
    machine.park(b"a")
    machine.read_source(1)
    machine.hand_over(2, 0, crashes=False)
    machine.teardown()
    assert machine.effects == [0, 1]


def test_what_a_former_owner_writes_late_runs_no_more() -> None:
    """Not even where its record was handled and committed before the partitions were given again."""
    machine = ParkingMachine()
    machine.produce(b"a", 3)
    machine.read_source(3)
    machine.park(b"a")
    machine.hand_over(1, 0, crashes=True)
    machine.read_source(3)
    machine.read_retry(1)
    machine.work(3)
    machine.write(3, known=True)
    machine.read_retry(3)
    machine.work(3)
    machine.hand_over(0, 0, crashes=False)
    machine.produce(b"a", 1)
    machine.read_source(4)
    machine.work(1)
    assert (machine.effects, [len(one) for one in machine.late]) == ([0, 1, 2, 3], [2])
    machine.write_late(2)
    machine.teardown()
    assert machine.effects == [0, 1, 2, 3]


@pytest.mark.case("delivery-16")
@pytest.mark.parametrize("read", range(1, 8))
def test_a_late_copy_that_was_not_passed_over_before_a_hand_over_runs_behind_its_older_ones(read: int) -> None:
    """Those were passed over; the owner's own copies of them lie behind it."""
    machine = ParkingMachine()
    machine.produce(b"a", 4)
    machine.read_source(4)
    machine.park(b"a")
    machine.hand_over(0, 0, crashes=False)
    machine.land_late(4)
    machine.read_source(4)
    machine.park(b"a")
    machine.write(4, known=True)
    machine.read_retry(read)
    machine.hand_over(0, 0, crashes=False)
    machine.teardown()
    assert machine.effects == [0, 1, 2, 3]


@pytest.mark.case("delivery-16")
def test_what_was_written_twice_and_passed_over_once_is_not_done() -> None:
    """The owner that passed it over gave the partitions on before it handled the record from its source."""
    machine = ParkingMachine()
    machine.produce(b"a", 2)
    machine.read_source(2)
    machine.park(b"a")
    machine.pod.keys.leaving *= 2
    machine.hand_over(0, 0, crashes=False)
    machine.land_late(3)
    machine.read_retry(1)
    machine.hand_over(0, 0, crashes=False)
    machine.teardown()
    assert machine.effects == [0, 1]


def test_a_head_that_ran_while_its_key_was_parked_is_not_parked_behind_it() -> None:
    machine = ParkingMachine()
    machine.produce(b"a", 3)
    machine.read_source(3)
    machine.take()
    machine.park(b"a")
    machine.pod.fail(machine.pod.running.pop())
    machine.park(b"a")
    assert len(machine.pod.keys.leaving) == 2
    machine.teardown()
    assert machine.effects == [0, 1, 2]


def test_a_key_whose_parked_records_are_done_is_live_after_a_hand_over() -> None:
    """They were finished beyond the committed offset, where another key's first one still ran."""
    machine = parked(b"a", b"b")
    machine.take()
    machine.work(2)
    assert machine.effects == [2, 3]
    machine.hand_over(0, 0, crashes=False)
    assert len(machine.pod.keys._parking) == 1
    machine.teardown()
    assert machine.effects == [2, 3, 0, 1]


def full(*keys: tuple[bytes, int]) -> ParkingMachine:
    """A pod that has so many records of each key, as many as it may together."""
    machine = ParkingMachine()
    for key, count in keys:
        machine.produce(key, count)
    machine.read_source(HIGH)
    return machine


def test_nothing_is_parked_while_the_target_or_a_store_is_away() -> None:
    """Nor are keys that fail: else all of the source would go through the retry topic."""
    machine = full((b"bad", HIGH // 2))
    machine.take()
    machine.pod.fail(machine.pod.running.pop())
    for is_away, left in ((True, 0), (False, HIGH // 2)):
        machine.pod.is_away = is_away
        machine.pod.keys.park_failing(machine.pod.source)
        machine.pod.keys.park_crowding()
        assert len(machine.pod.keys.leaving) == left


def test_what_is_left_of_a_parked_key_says_nothing_of_others() -> None:
    """Its head runs for long with nothing of others beside it but one key, which is alone then, and is not parked."""
    machine = full((b"a", 2), (b"fine", HIGH))
    machine.take()
    machine.pod.keys._park([(SOURCE, 0, b"a")])
    machine.pod.fail(machine.pod.running.pop())
    assert len(machine.pod.keys.leaving) == 1
    machine.pod.keys.park_crowding()
    assert len(machine.pod.keys.leaving) == 1
    assert machine.pod.keys.parked == 1


def test_what_is_given_away_is_parked_here_no_more() -> None:
    """What was noted and never written comes again from the source, to whoever has it next; that may be this pod."""
    machine = full((b"a", 3))
    machine.park(b"a")
    pod = machine.pod
    assert (pod.keys.parked, len(pod.keys.leaving)) == (1, 3)
    pod.ledger.revoke(pod.source)
    pod.keys.forget({0})
    assert pod.keys.parked == 0
    assert pod.keys.retrying(pod.retry) == (0, 0)
    pod.source, pod.next[SOURCE] = pod.ledger.assign(SOURCE, 0, 0), 0
    machine.read_source(3)
    machine.work(3)
    assert machine.effects == [0, 1, 2]


def test_partitions_that_stay_keep_what_is_parked() -> None:
    machine = parked(b"a")
    machine.pod.keys.forget({1})
    assert machine.pod.keys.parked == 1


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize(("partition", "by"), [(0, "4" * 16), (5, None)])
def test_no_key_waits_behind_a_letter_that_lies_beside_another_number(partition: int, by: str | None) -> None:
    """Its record was put into a retry partition of another number, whose owner is not known there."""
    pod = Pod(OffsetMap(at=0), OffsetMap(at=0), [])
    pod.keys.begin(0, (), Parker(0, "4" * 16, 0), {})
    pod.keys.followers.begin(0, Seen(frozenset({(SOURCE, 0)}), 0, {}, frozenset()))
    origin = Position(SOURCE, partition, 3)
    record = Record(topic=RETRY, partition=0, offset=7, key=b"a", value=b"", origin=origin)
    assert pod.keys.parks_key(Job(pod.retry, record, "Key")) == by


def load(name: str, share: float, *, failing: bool) -> Load:
    return Load((SOURCE, 0, name.encode()), int(share * HIGH), 1, failing)


@pytest.mark.parametrize(
    ("loads", "parked"),
    [
        ([load("bad", 1.0, failing=True)], ["bad"]),
        ([load("bad", 0.11, failing=True), load("fine", 0.4, failing=False)], ["bad"]),
        ([load("bad", 0.09, failing=True), load("fine", 0.4, failing=False)], []),
        ([load(f"bad{n}", 0.05 + n / 1000, failing=True) for n in range(4)], ["bad3", "bad2", "bad1"]),
        ([load("hot", 1.0, failing=False)], []),
        ([load("hot", 0.6, failing=False), load("fine", 0.01, failing=False)], ["hot"]),
        ([load("hot", 0.6, failing=False), load("hotter", 0.7, failing=False)], ["hotter"]),
        ([load("hot", 0.6, failing=False), load("bad", 0.7, failing=True)], ["bad"]),
        ([load("bad", 0.6, failing=True), load("worse", 0.7, failing=True)], ["worse", "bad"]),
        ([load(f"k{n}", 0.2, failing=False) for n in range(5)], []),
        ([Load((SOURCE, 0, b"heavy"), 3, HIGH_BYTES, True)], ["heavy"]),
    ],
)
def test_what_holds_up_others_is_parked(loads: list[Load], parked: list[str]) -> None:
    """Keys that fail by what they hold together, the largest first; healthy ones that have most, but one."""
    assert [lane[2] for lane in crowding(loads)] == [name.encode() for name in parked]
