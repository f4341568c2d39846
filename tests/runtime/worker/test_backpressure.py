"""What is read while as much is unfinished as there may be: nothing, or the partitions that have too little of it."""

from __future__ import annotations

from collections import Counter

import pytest

from headrace.flow.budget import HIGH, HIGH_BYTES
from headrace.flow.ledger import Ledger
from headrace.flow.partitions import Partition
from headrace.metrics import Metrics
from headrace.worker.backpressure import PAUSE_AFTER, Backpressure
from headrace.worker.pauses import Pauses
from tests.runtime.configs import BILLING
from tests.runtime.pausing import Client


class Work:
    """Two partitions of ten keys each, and hands of which so many are ``idle``; None: keys wait for one."""

    def __init__(self, idle: int | None = 0) -> None:
        self.hands_idle = idle
        self.client = Client()
        self.ledger = Ledger()
        self.pauses = Pauses(self.client, Metrics(BILLING))  # type: ignore[arg-type]
        self.partitions = [self.ledger.assign("orders", number, 0) for number in (0, 1)]
        self.lost: set[Partition] = set()
        words = (self.ledger, self.pauses, self.lost, self, BILLING.topics.retry)
        self.backpressure = Backpressure(*words)  # type: ignore[arg-type]

    def idle(self, handed: int) -> int | None:
        return self.hands_idle

    def keys_at_hand(self) -> Counter[Partition]:
        return Counter({one.name: 10 for one in self.partitions})

    def deliver(self, number: int, records: int, size: int = 1) -> None:
        one = self.partitions[number]
        for offset in range(one.position, one.position + records):
            self.ledger.deliver(one, offset, size)

    def finish(self, number: int) -> None:
        one = self.partitions[number]
        for offset in range(one.position):
            self.ledger.complete(one, offset)

    def reads(self, now: float = 0.0) -> set[int]:
        """Return the numbers of the partitions that are read in a turn."""
        used_up = self.backpressure.is_used_up()
        if self.backpressure.is_full(now, 0, used_up=used_up):
            self.backpressure.hold_back(now)
            return set()
        self.pauses.end()
        return {0, 1} - {number for _, number in self.client.paused}


def test_what_fits_is_read_whoever_has_it() -> None:
    work = Work(idle=5)
    work.deliver(0, HIGH - 1)
    assert work.reads() == {0, 1}


def test_while_keys_wait_for_a_hand_nothing_is_read_and_only_later_paused() -> None:
    work = Work(idle=None)
    work.deliver(0, HIGH)
    assert work.reads(1.0) == set()
    assert work.client.paused == set()
    assert work.reads(1.1 + PAUSE_AFTER) == set()
    assert work.client.paused == {("orders", 0), ("orders", 1)}
    work.finish(0)
    assert work.reads(2.0 + PAUSE_AFTER) == {0, 1}


def test_while_hands_are_idle_those_are_read_that_hold_least() -> None:
    work = Work(idle=5)
    work.deliver(0, HIGH)
    assert work.reads() == {1}
    work.deliver(1, HIGH)
    assert work.reads() == {0, 1}


@pytest.mark.parametrize("idle", [0, 5])
def test_of_what_is_used_up_by_bytes_a_partition_that_holds_little_gets_its_share(idle: int) -> None:
    work = Work(idle=idle)
    work.deliver(0, 32, HIGH_BYTES // 32)
    assert work.reads() == {1}
    work.deliver(1, 8, HIGH_BYTES // 32)
    assert work.reads() == set()
    work.finish(1)
    assert work.reads() == {1}


def test_one_that_waits_for_something_else_is_lost_or_has_no_more_keeps_no_other_from_being_read() -> None:
    work = Work(idle=5)
    work.deliver(0, HIGH)
    work.pauses.set_held(frozenset({work.partitions[1]}))
    assert work.reads() == {0}
    work.pauses.set_held(frozenset())
    work.lost.add(("orders", 1))
    assert work.reads() == {0, 1}
    work.lost.clear()
    assert work.reads() == {1}
    work.ledger.reach("orders", 1, 0)
    assert work.reads() == {0, 1}
