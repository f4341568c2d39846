"""The ledger never commits over an incomplete record, and repeats or skips none that it must not, whatever happens.

What happens: deliveries, completions (late ones too), orderly hand-overs, crashes, logs truncated or made anew.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import UNKNOWN, OffsetMap, Tried, decode, encode

Partition = tuple[str, int]
PARTITIONS = st.sampled_from([("orders", 0), ("retry", 0)])


class Written(NamedTuple):
    """A record of the model's log; ``number`` is its own, also where another has had its offset."""

    number: int
    stamp: int
    epoch: int


class Model:
    """One partition: its log, what is finished, what is committed, and what was finished since."""

    def __init__(self) -> None:
        self.log: dict[int, Written] = {}
        self.end = 0
        self.epoch = 0
        self.finished: set[int] = set()
        self.unsaved: set[int] = set()
        self.attempts: dict[int, int] = {}
        self.committed = 0
        self.text = ""

    def append(self, number: int, gap: int) -> None:
        self.log[self.end + gap] = Written(number, 10**12 + number, self.epoch)
        self.end += gap + 1

    def from_(self, offset: int) -> list[int]:
        return sorted(known for known in self.log if known >= offset)


class LedgerMachine(RuleBasedStateMachine):
    """Random events beside a model that remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.models: dict[Partition, Model] = {}
        self.position: dict[Assignment, int] = {}
        self.running: list[tuple[Assignment, int]] = []
        self.numbers = 0

    def model(self, partition: Partition) -> Model:
        return self.models.setdefault(partition, Model())

    def owned(self, partition: Partition) -> Assignment:
        """Return the assignment of a partition, which begins where the last one committed."""
        known = self.ledger.find(*partition)
        if known is None:
            model = self.model(partition)
            known = self.ledger.assign(*partition, model.committed, decode(model.text))
            self.position[known] = model.committed
        return known

    def _append(self, model: Model, gap: int = 0) -> None:
        self.numbers += 1
        model.append(self.numbers, gap)

    @rule(partition=PARTITIONS, gaps=st.lists(st.integers(0, 2), min_size=1, max_size=6))
    def read(self, partition: Partition, gaps: list[int]) -> None:
        for gap in gaps:
            self._read_next(partition, gap)

    def _read_next(self, partition: Partition, gap: int) -> None:
        assignment, model = self.owned(partition), self.model(partition)
        if not model.from_(self.position[assignment]):
            self._append(model, gap)
        offset = model.from_(self.position[assignment])[0]
        written = model.log[offset]
        self.position[assignment] = offset + 1
        if self.ledger.deliver(assignment, offset, 10, written.stamp, written.epoch):
            repeated = written.number in model.finished
            assert not repeated or written.number in model.unsaved, "came again though it was known to be done"
            self._expect_attempts(model, assignment, offset, written.number)
            self.running.append((assignment, offset))
        else:
            assert written.number in model.finished, "was skipped, and never handled"
        assert not self.ledger.deliver(assignment, offset, 10, written.stamp, written.epoch)

    def _expect_attempts(self, model: Model, assignment: Assignment, offset: int, number: int) -> None:
        tried = self.ledger.tried(assignment, offset)
        assert (tried.attempt if tried else 1) == model.attempts.get(number, 1)

    @rule(partition=PARTITIONS, markers=st.integers(0, 3))
    def reach_the_end(self, partition: Partition, markers: int) -> None:
        """All records were read, and the log goes on with what is no record."""
        assignment, model = self.owned(partition), self.model(partition)
        if assignment.end is None or model.from_(self.position[assignment]):
            return
        model.end += markers
        self.ledger.reach(*partition, model.end)
        assert assignment.unfinished or assignment.frontier == model.end

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcomes=st.lists(st.booleans(), min_size=1, max_size=6))
    def end_some(self, data: st.DataObject, outcomes: list[bool]) -> None:
        for succeeds in outcomes[: len(self.running)]:
            self._end(data.draw(st.integers(0, len(self.running) - 1)), succeeds)

    def _end(self, index: int, succeeds: bool) -> None:
        assignment, offset = self.running.pop(index)
        partition = (assignment.topic, assignment.partition)
        is_current = self.ledger.find(*partition) is assignment
        model = self.model(partition)
        if not succeeds:
            self._fail(assignment, offset)
            return
        assert self.ledger.complete(assignment, offset) == is_current
        if is_current:
            number = model.log[offset].number
            model.finished.add(number)
            model.unsaved.add(number)

    def _fail(self, assignment: Assignment, offset: int) -> None:
        tried = self.ledger.tried(assignment, offset)
        attempt = 1 + (tried.attempt if tried else 1)
        self.ledger.note(assignment, offset, Tried(attempt))
        self.running.append((assignment, offset))

    @rule(partition=PARTITIONS)
    def commit(self, partition: Partition) -> None:
        assignment, model = self.owned(partition), self.model(partition)
        if assignment.frontier is None:
            return
        skipped = {one.number for offset, one in model.log.items() if model.committed <= offset < assignment.frontier}
        assert skipped <= model.finished, "committed over what is not finished"
        assert assignment.frontier >= model.committed, "a commit went back"
        model.committed = assignment.committed = assignment.frontier
        model.text = encode(assignment.offset_map(), 100_000)
        tried, done = assignment.offset_map().tried, assignment.offset_map().done
        beyond = {at for start, stop in done for at in range(start, stop)}
        saved = {one.number for at, one in model.log.items() if at < model.committed or at in beyond}
        model.unsaved -= saved
        model.attempts = {one.number: tried[at].attempt for at, one in model.log.items() if at in tried}

    @rule(partition=PARTITIONS)
    def give_away(self, partition: Partition) -> None:
        """An orderly end: what is finished by now comes never again."""
        self.commit(partition)
        self.lose(partition)
        self.running = [one for one in self.running if not one[0].given_away]

    @rule(partition=PARTITIONS)
    def lose(self, partition: Partition) -> None:
        assignment = self.owned(partition)
        self.ledger.revoke(assignment)
        assert not self.ledger.deliver(assignment, 1_000_000, 1)

    @rule(partition=PARTITIONS, cut=st.integers(1, 8), more=st.integers(1, 9))
    def truncate(self, partition: Partition, cut: int, more: int) -> None:
        """While nobody has it, a new leader lacks the end of the log, which others fill up to beyond the commit."""
        if self.ledger.find(*partition) is not None:
            return
        model = self.model(partition)
        model.epoch += 1
        self._refill(model, max(0, model.end - cut), more)

    @rule(partition=PARTITIONS, more=st.integers(1, 9))
    def make_anew(self, partition: Partition, more: int) -> None:
        """While nobody has it, the topic is deleted and made anew; its commits stay, as one that came late does."""
        known = decode(self.model(partition).text)
        if self.ledger.find(*partition) is not None or (known is not None and known.stamp == UNKNOWN):
            return
        model = self.model(partition)
        model.epoch = 0
        self._refill(model, 0, more)

    def _refill(self, model: Model, end: int, more: int) -> None:
        """Cut the log at ``end``; what is written before the commit is nobody's any more (that is told elsewhere)."""
        model.log = {offset: one for offset, one in model.log.items() if offset < end}
        model.end = end
        while model.end <= model.committed + more:
            self._append(model)
        model.finished |= {one.number for offset, one in model.log.items() if offset < model.committed}
        model.unsaved |= model.finished
        model.attempts = {}
        known = decode(model.text)
        first = model.log.get(model.committed)
        if known is not None and (first is None or known.stamp in (UNKNOWN, first.stamp)):
            model.attempts = {model.log[at].number: one.attempt for at, one in known.tried.items() if at < end}

    @invariant()
    def what_is_left_is_what_is_not_done(self) -> None:
        """Beyond the frontier each offset that was read is done or unfinished."""
        for one in self.ledger.owned:
            assert one.done >= 0
            if one.frontier is not None:
                known = one.offset_map()
                assert one.done == sum(stop - start for start, stop in known.done)
                assert decode(encode(known, 100_000)) == (known if known.done or known.tried else None)

    @invariant()
    def counts_add_up(self) -> None:
        assert self.ledger.size == 10 * self.ledger.unfinished


TestLedger = LedgerMachine.TestCase


def owner(*done: tuple[int, int], at: int = 0, stamp: int = 500, epoch: int = 3) -> tuple[Ledger, Assignment]:
    """Return the owner of a partition that begins with a map."""
    ledger = Ledger()
    return ledger, ledger.assign("orders", 0, at, OffsetMap(at=at, stamp=stamp, epoch=epoch, done=done))


def test_gaps_left_by_compaction_are_harmless() -> None:
    ledger = Ledger()
    assignment = ledger.assign("orders", 0)
    for offset in (5, 9, 40):
        ledger.deliver(assignment, offset, 1)
    ledger.complete(assignment, 9)
    assert assignment.frontier == 5
    ledger.complete(assignment, 5)
    assert assignment.frontier == 40
    ledger.complete(assignment, 40)
    assert assignment.frontier == 41


def test_nothing_is_due_before_a_record_or_the_end_came() -> None:
    ledger, assignment = owner((1, 9))
    assert assignment.frontier is None
    ledger.revoke(assignment)


def test_a_marker_at_the_end_is_committed_over_when_all_before_it_is_finished() -> None:
    ledger = Ledger()
    assignment = ledger.assign("retry", 0, 7)
    ledger.deliver(assignment, 7, 1)
    ledger.reach("retry", 0, 9)
    assert assignment.frontier == 7
    ledger.complete(assignment, 7)
    assert assignment.frontier == 9


def test_the_end_of_a_partition_that_is_not_ours_is_nobodys() -> None:
    ledger = Ledger()
    ledger.reach("retry", 0, 9)
    assert ledger.owned == ()


@pytest.mark.case("delivery-3")
def test_a_map_from_before_anybody_read_what_follows_holds_beyond_a_gap() -> None:
    """As after two hand-overs close together, where the end of a transaction lies at the committed offset."""
    known = OffsetMap(at=2, epoch=3, done=((4, 9),), tried={3: Tried(5)})
    ledger = Ledger()
    assignment = ledger.assign("orders", 0, 2, known)
    assert ledger.deliver(assignment, 3, 1, 503, 3)
    assert ledger.tried(assignment, 3) == Tried(5)
    assert not ledger.deliver(assignment, 4, 1, 504, 3)
    assert not assignment.mistrusted


@pytest.mark.case("delivery-3")
def test_what_was_done_beyond_the_commit_is_skipped_and_told_on() -> None:
    ledger, assignment = owner((1, 5), (6, 9))
    delivered = [offset for offset in range(12) if ledger.deliver(assignment, offset, 1, 500 + offset, 3)]
    assert delivered == [0, 5, 9, 10, 11]
    assert assignment.offset_map().done == ((1, 5), (6, 9))
    ledger.complete(assignment, 5)
    ledger.complete(assignment, 0)
    assert assignment.frontier == 9


@pytest.mark.case("delivery-3")
def test_what_has_not_come_yet_is_told_on() -> None:
    ledger, assignment = owner((1, 5), (6, 9))
    for offset in range(3):
        ledger.deliver(assignment, offset, 1, 500 + offset, 3)
    assert assignment.done == 7
    assert assignment.offset_map().done == ((1, 5), (6, 9))


@pytest.mark.case("delivery-3")
def test_a_map_of_another_record_at_its_offset_is_of_another_log() -> None:
    ledger, assignment = owner((1, 9))
    assert all(ledger.deliver(assignment, offset, 1, 900 + offset, 0) for offset in range(9))
    assert assignment.mistrusted


@pytest.mark.case("delivery-3")
def test_a_map_whose_first_record_is_gone_is_not_believed() -> None:
    ledger, assignment = owner((1, 9))
    assert all(ledger.deliver(assignment, offset, 1, 500 + offset, 3) for offset in range(4, 9))
    assert assignment.mistrusted


@pytest.mark.case("delivery-3")
def test_from_the_first_record_of_a_later_leader_on_a_map_is_not_believed() -> None:
    """The log was truncated after offset 4, and filled up again."""
    ledger, assignment = owner((1, 3), (4, 9))
    epochs = {offset: 3 if offset < 5 else 4 for offset in range(9)}
    delivered = [at for at, epoch in epochs.items() if ledger.deliver(assignment, at, 1, 500 + at, epoch)]
    assert delivered == [0, 3, 5, 6, 7, 8]
    assert assignment.mistrusted


@pytest.mark.case("delivery-3")
def test_a_later_leader_beyond_the_map_says_nothing_against_it() -> None:
    ledger, assignment = owner((1, 4))
    delivered = [at for at in range(9) if ledger.deliver(assignment, at, 1, 500 + at, 3 if at < 4 else 7)]
    assert delivered == [0, 4, 5, 6, 7, 8]
    assert not assignment.mistrusted
