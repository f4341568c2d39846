"""The ledger never commits over an incomplete record, whatever happens to its partitions."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.flow.ledger import Assignment, Ledger

PARTITIONS = st.sampled_from([("orders", 0), ("orders", 1), ("retry", 0)])


class LedgerMachine(RuleBasedStateMachine):
    """Random deliveries, completions (late ones too) and rebalances, beside a model that remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.log_end: dict[tuple[str, int], int] = {}
        self.finished: set[tuple[str, int, int]] = set()
        self.committed: dict[tuple[str, int], int] = {}
        self.begun: dict[Assignment, int] = {}
        self.running: list[tuple[Assignment, int]] = []
        self.existing: dict[tuple[str, int], set[int]] = {}

    @rule(partition=PARTITIONS)
    def assign(self, partition: tuple[str, int]) -> None:
        known = self.ledger.find(*partition)
        if known is not None:
            self.ledger.revoke(known)
        assignment = self.ledger.assign(*partition, self.committed.get(partition))
        self.begun[assignment] = self.committed.get(partition, 0)
        assert self.ledger.due() == [] or all(known is not assignment for known, _ in self.ledger.due())

    @rule(partition=PARTITIONS, gap=st.integers(0, 3))
    def deliver_next(self, partition: tuple[str, int], gap: int) -> None:
        assignment = self.ledger.find(*partition)
        if assignment is None:
            return
        known = self._undelivered(assignment)
        offset = known[0] if known else self.log_end.get(partition, 0) + gap
        self.existing.setdefault(partition, set()).add(offset)
        self.log_end[partition] = max(self.log_end.get(partition, 0), offset + 1)
        assert self.ledger.deliver(assignment, offset, 10)
        assert not self.ledger.deliver(assignment, offset, 10)
        self.running.append((assignment, offset))

    @rule(partition=PARTITIONS, markers=st.integers(0, 3))
    def reach_the_end(self, partition: tuple[str, int], markers: int) -> None:
        """All records were read, and the log goes on with what is no record."""
        assignment = self.ledger.find(*partition)
        if assignment is None or self._undelivered(assignment):
            return
        self.log_end[partition] = self.log_end.get(partition, 0) + markers
        self.ledger.reach(*partition, self.log_end[partition])
        assert assignment.unfinished or assignment.frontier == self.log_end[partition]

    def _undelivered(self, assignment: Assignment) -> list[int]:
        start = self.begun[assignment] if assignment.end is None else assignment.end
        existing = self.existing.get((assignment.topic, assignment.partition), set())
        return sorted(offset for offset in existing if offset >= start)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def complete_any(self, data: st.DataObject) -> None:
        assignment, offset = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        is_current = self.ledger.find(assignment.topic, assignment.partition) is assignment
        assert self.ledger.complete(assignment, offset) == is_current
        if is_current:
            self.finished.add((assignment.topic, assignment.partition, offset))

    @rule(partition=PARTITIONS)
    def revoke(self, partition: tuple[str, int]) -> None:
        known = self.ledger.find(*partition)
        if known is not None:
            self.ledger.revoke(known)
            assert not self.ledger.deliver(known, 1_000_000, 1)

    @rule()
    def commit(self) -> None:
        for assignment, offset in self.ledger.due():
            partition = (assignment.topic, assignment.partition)
            assert offset >= self.committed.get(partition, 0), "a commit went back"
            skipped = {known for known in self.existing.get(partition, set()) if known < offset}
            lost = {known for known in skipped if (*partition, known) not in self.finished}
            assert not lost, f"committed {offset} over {lost}"
            self.committed[partition] = assignment.committed = offset

    @invariant()
    def what_is_left_is_what_is_not_done(self) -> None:
        """Beyond the frontier each offset that was read is done or unfinished."""
        for one in self.ledger.owned:
            assert one.done >= 0
            assert one.frontier is None or one.end == one.frontier + one.done + one.unfinished

    @invariant()
    def counts_add_up(self) -> None:
        assert self.ledger.size == 10 * self.ledger.unfinished


TestLedger = LedgerMachine.TestCase


def test_gaps_left_by_compaction_are_harmless() -> None:
    ledger = Ledger()
    assignment = ledger.assign("orders", 0)
    for offset in (5, 9, 40):
        ledger.deliver(assignment, offset, 1)
    ledger.complete(assignment, 9)
    assert ledger.due() == [(assignment, 5)]
    ledger.complete(assignment, 5)
    assert ledger.due() == [(assignment, 40)]
    ledger.complete(assignment, 40)
    assert ledger.due() == [(assignment, 41)]


def test_nothing_is_due_before_a_record_or_the_end_came() -> None:
    ledger = Ledger()
    ledger.assign("orders", 0)
    assert ledger.due() == []


def test_a_marker_at_the_end_is_committed_over_when_all_before_it_is_finished() -> None:
    ledger = Ledger()
    assignment = ledger.assign("retry", 0, 7)
    ledger.deliver(assignment, 7, 1)
    ledger.reach("retry", 0, 9)
    assert ledger.due() == []
    ledger.complete(assignment, 7)
    assert ledger.due() == [(assignment, 9)]


def test_the_end_that_is_committed_already_is_not_due() -> None:
    ledger = Ledger()
    ledger.assign("retry", 0, 9)
    ledger.reach("retry", 0, 9)
    assert ledger.due() == []


def test_the_end_of_a_partition_that_is_not_ours_is_nobodys() -> None:
    ledger = Ledger()
    ledger.reach("retry", 0, 9)
    assert ledger.due() == []
