"""Partitions whose offset is gone, of a Kafka that does not say what there is: one wait for all, and then a rest."""

from __future__ import annotations

import pytest

from headrace.flow.offsets import Span
from headrace.flow.partitions import Partition
from headrace.metrics import Metrics
from headrace.worker.lost import ASK_EVERY, Lost
from tests.runtime.configs import BILLING

PARTITIONS = [("orders", number) for number in range(100)]


class Leaders:
    """What they say; nothing of the partitions ``silent``."""

    def __init__(self) -> None:
        self.silent = {*PARTITIONS}
        self.asked: list[Partition] = []

    def span(self, partition: Partition) -> Span | None:
        self.asked.append(partition)
        return None if partition in self.silent else Span(7, 9)


@pytest.fixture
def leaders() -> Leaders:
    return Leaders()


@pytest.fixture
def lost(leaders: Leaders) -> Lost:
    made = Lost("Earliest", leaders, Metrics(BILLING))  # type: ignore[arg-type]
    for one in PARTITIONS:
        made.note(one, 3)
    return made


@pytest.mark.case("delivery-20")
def test_a_turn_waits_once_where_nobody_answers(leaders: Leaders, lost: Lost) -> None:
    assert lost.restarts(100.0) == {}
    assert lost.restarts(100.0 + ASK_EVERY) == {}
    assert len(leaders.asked) == 1


@pytest.mark.case("delivery-20")
def test_a_leader_that_does_not_answer_holds_up_no_other(leaders: Leaders, lost: Lost) -> None:
    leaders.silent = {PARTITIONS[0]}
    found = [lost.restarts(100.0 + ASK_EVERY * turn) for turn in range(4)]
    assert {one for some in found for one in some} == {*PARTITIONS[1:]}
    leaders.silent = set()
    assert lost.restarts(200.0) == {PARTITIONS[0]: 7}
