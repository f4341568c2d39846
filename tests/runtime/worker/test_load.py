"""What a pod tells of its load, from its dispatcher at work: how busy, and busy with what it could do alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headrace.config import Delivery, Rate
from headrace.flow.lanes import Job
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.parking import Found, Mark
from headrace.flow.policy import Failed
from headrace.load import LoadReport
from headrace.metrics import Metrics
from headrace.progress import Parker
from headrace.record import Record
from headrace.worker import load
from headrace.worker.dispatch import Dispatcher
from headrace.worker.load import Load
from tests.runtime.configs import BILLING
from tests.waiting import PATIENCE

Handle = Callable[[Record], Coroutine[Any, Any, Failed | None]]
HANDS = 4
AWAY = Failed(message="refused", exception="builtins.ConnectionRefusedError", unanswered=True)


@pytest.fixture(autouse=True)
def windows_end_with_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "EVERY", 0.0)


class Pod:
    """A dispatcher and what it tells."""

    def __init__(self, handle: Handle, **delivery: object) -> None:
        self.config = BILLING.model_copy(update={"delivery": Delivery(concurrency=HANDS, **delivery)})
        self.dispatcher = Dispatcher(self.config, handle, Metrics(self.config), Lease(600, time.monotonic()))
        self.ledger = Ledger()
        self.assignment = self.ledger.assign("orders", 0)
        self.load = Load(self.config, "billing-1", self.dispatcher, self.ledger)

    def give(self, count: int, keys: int = 1000) -> None:
        """Give it so many records."""
        begin = self.assignment.end or 0
        jobs = []
        for offset in range(begin, begin + count):
            self.ledger.deliver(self.assignment, offset, 1)
            key = b"k%d" % (offset % keys)
            record = Record(topic="orders", partition=0, offset=offset, key=key, value=b"v", timestamp=None)
            jobs.append(Job(self.assignment, record))
        self.dispatcher.accept(jobs)

    def settle(self) -> None:
        """Note what was finished, as the poll thread does."""
        while self.dispatcher.finished:
            self.ledger.complete(self.assignment, self.dispatcher.finished.popleft().record.offset)
            self.load.handled += 1

    def report(self) -> LoadReport:
        """End the window, however short it was, and begin the next."""
        self.settle()
        self.load.look(time.monotonic(), [self.assignment])
        told = self.load.told_with(self.assignment)
        assert told is not None
        return told


@asynccontextmanager
async def working(handle: Handle, **delivery: object) -> AsyncIterator[Pod]:
    """Return a pod whose runners run, at the beginning of a window."""
    pod = Pod(handle, **delivery)
    runners = asyncio.create_task(pod.dispatcher.run())
    try:
        async with asyncio.timeout(PATIENCE):
            yield pod
    finally:
        runners.cancel()
        await asyncio.wait([runners])


async def never(record: Record) -> Failed | None:
    await asyncio.Event().wait()
    return None


async def at_once(record: Record) -> Failed | None:
    return None


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - the poll thread looks, nobody tells
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("records", "keys", "share"), [(1, 9, 250), (3, 9, 750), (40, 99, 1000), (40, 2, 500)])
async def test_hands_that_handle_are_in_use_and_those_without_a_key_are_not(
    records: int, keys: int, share: int
) -> None:
    """Of four hands; two keys with twenty records each keep two."""
    async with working(never) as pod:
        pod.give(records, keys)
        await until(lambda: pod.dispatcher.busy.seconds(time.monotonic()) > 0)
        pod.report()
        await asyncio.sleep(0.5)
        report = pod.report()
    assert report.busy == pytest.approx(share, abs=100)
    assert (report.pod, report.handled, report.circuit, report.idle) == ("billing-1", 0, "closed", False)


async def test_a_handler_that_only_computes_is_as_busy_as_it_can_be() -> None:
    """One record at a time is all that a process can compute: with records left it could do no more, so is full."""

    async def compute(record: Record) -> Failed | None:
        end = time.perf_counter() + 0.001
        while time.perf_counter() < end:
            pass
        return None

    async with working(compute) as pod:
        pod.give(3000)
        await until(lambda: len(pod.dispatcher.finished) > 0)
        pod.report()
        await until(lambda: len(pod.dispatcher.finished) > 100)
        report = pod.report()
    assert report.busy > 900
    assert report.handled > 100


async def test_records_that_a_rate_holds_back_make_nobody_busy() -> None:
    async with working(at_once, rate=Rate(per_second=20)) as pod:
        pod.give(1000)
        await until(lambda: len(pod.dispatcher.finished) > 10)
        report = pod.report()
    assert report.busy < 200
    assert report.handled > 10


async def test_a_target_that_is_away_is_told_with_its_cause_and_makes_nobody_busy() -> None:
    async def away(record: Record) -> Failed | None:
        return AWAY

    began = int(time.time())
    async with working(away) as pod:
        pod.give(100)
        await until(lambda: pod.dispatcher.target.circuit == "open")
        pod.report()
        await asyncio.sleep(0.5)
        report = pod.report()
    assert (report.circuit, report.cause) == ("open", "builtins.ConnectionRefusedError")
    assert began <= report.since <= report.end
    assert report.busy < 100
    assert not report.idle


async def test_a_target_that_has_too_much_is_told_to_be_throttled() -> None:
    async def busy(record: Record) -> Failed | None:
        return Failed(message="too much", exception="headrace.http.Status429", status=429)

    async with working(busy) as pod:
        pod.give(1)
        await until(lambda: pod.dispatcher.target.circuit == "throttled")
        assert pod.report().circuit == "throttled"


async def test_a_pod_without_work_reports_once_and_then_nothing_new() -> None:
    """It says that it will: silence after it is no sign of death. Work makes it report again."""
    async with working(at_once) as pod:
        first = pod.report()
        assert (first.idle, first.busy, first.handled) == (True, 0, 0)
        assert pod.report() is first

        pod.give(5)
        await until(lambda: len(pod.dispatcher.finished) == 5)
        worked = pod.report()
        assert (worked.idle, worked.handled) == (False, 5)
        last = pod.report()
        assert last.idle
        assert pod.report() is last


async def test_a_record_that_waits_is_reported_on_without_progress() -> None:
    async def closed(record: Record) -> Failed | None:
        return Failed(message="closed", exception="headrace.Retry", after=600)

    async with working(closed) as pod:
        pod.give(1)
        await until(lambda: bool(pod.dispatcher.retried))
        pod.report()
        second, third = pod.report(), pod.report()
    assert (second.idle, second.busy, second.handled) == (False, 0, 0)
    assert third is not second


def test_it_is_told_with_the_lowest_partition_of_a_source_if_there_is_one() -> None:
    """The retry topic's name is before that of the source, so that the order of names alone does not do."""
    pod = Pod(never)
    retry, later, first = Assignment("r", 0), Assignment("shop", 10), Assignment("shop", 9)
    for owned, teller in (([retry, later, first], first), ([retry, later], later), ([retry], retry)):
        pod.load.look(time.monotonic(), owned)
        assert [one for one in owned if pod.load.told_with(one)] == [teller]
    pod.load.look(time.monotonic(), [])
    assert pod.load.told_with(retry) is None


def test_a_pod_that_leaves_tells_nothing_more() -> None:
    pod = Pod(never)
    assert pod.report()
    pod.load.end()
    assert pod.load.told_with(pod.assignment) is None


def test_a_partition_that_is_given_away_tells_nothing_and_the_next_one_does() -> None:
    pod = Pod(never)
    assert pod.report()
    pod.ledger.revoke(pod.assignment)
    assert pod.load.told_with(pod.assignment) is None
    later = pod.ledger.assign("orders", 1)
    pod.load.look(time.monotonic(), [later])
    assert pod.load.told_with(later) is not None


def test_the_number_of_parked_keys_is_reported() -> None:
    pod = Pod(never)
    pod.ledger.deliver(pod.assignment, 0, 1)
    assert pod.report().parked == 0
    found = [Found(("orders", 0, key), Mark(1, 1), False) for key in (b"a", b"b")]
    pod.dispatcher.keys.begin(0, found, Parker(9, "9" * 16), {})
    assert pod.report().parked == 2
