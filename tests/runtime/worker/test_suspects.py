"""The dispatcher with suspects: what one of them waits for, or never ends, costs its own key and one place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from headrace import headers
from headrace.config import Delivery, Handler, Python, Retry
from headrace.flow.lanes import Job
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.flow.policy import Failed
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.worker.dispatch import Dispatcher
from tests.runtime.configs import BILLING
from tests.waiting import PATIENCE

CONFIG = BILLING.model_copy(
    update={
        "delivery": Delivery(concurrency=3),
        "handler": Handler(python=Python(function="billing:handle", timeout=0.2)),
    }
)


class Target:
    """Handles what it is given; of the offsets ``hanging``, nothing ever ends."""

    def __init__(self, hanging: Collection[int] = ()) -> None:
        self._hanging = hanging

    async def handle(self, record: Record) -> None:
        if record.offset in self._hanging:
            await asyncio.Event().wait()


def job(offset: int, crashes: int = 0) -> Job:
    """Return a suspect that was there ``crashes`` times when the process ended."""
    record = Record(topic="orders", partition=0, offset=offset, key=b"%d" % offset, value=None)
    one = Job(Assignment("orders", 0), record, tried=Tried(1, crashes))
    one.is_suspect = True
    return one


@asynccontextmanager
async def working(dispatcher: Dispatcher) -> AsyncIterator[None]:
    """Run a dispatcher, and commit what it asks for."""

    async def commit() -> None:
        while True:
            if (ahead := dispatcher.quarantine.asked_before()) is not None:
                ahead.written()
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(dispatcher.run()), asyncio.create_task(commit())]
    async with asyncio.timeout(PATIENCE):
        yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def finished(dispatcher: Dispatcher, count: int) -> set[int]:
    """Wait until ``count`` records are finished; return their offsets."""
    while len(dispatcher.finished) < count:  # noqa: ASYNC110 - the poll thread looks, nobody tells
        await asyncio.sleep(0.005)
    return {one.record.offset for one in dispatcher.finished}


@pytest.mark.case("delivery-19")
@pytest.mark.parametrize("crashes", [0, 1], ids=["never counted", "counted"])
async def test_a_suspect_that_hangs_costs_its_key_and_one_place(crashes: int) -> None:
    """More of them than places, some counted, some not; and what comes later."""
    dispatcher = Dispatcher(CONFIG, Target(hanging=[0]).handle, Metrics(CONFIG), Lease(600, time.monotonic()))
    suspects = [job(0, crashes), *(job(at, at % 2) for at in range(1, 9))]
    async with working(dispatcher):
        dispatcher.accept(suspects)
        assert await finished(dispatcher, 8) == set(range(1, 9))
        dispatcher.accept([job(at) for at in range(9, 12)])
        assert await finished(dispatcher, 11) == set(range(1, 12))


@pytest.mark.case("delivery-19")
async def test_a_suspect_whose_value_cannot_be_read_yet_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for Kafka before it is suspect in the quarantine, however long its time-out is."""
    config = CONFIG.model_copy(update={"handler": BILLING.handler})
    dispatcher = Dispatcher(config, Target().handle, Metrics(config), Lease(600, time.monotonic()))

    async def restore(one: Job) -> None:
        if one.record.offset == 0:
            await asyncio.Event().wait()

    monkeypatch.setattr(dispatcher.keys, "restore", restore)
    async with working(dispatcher):
        dispatcher.accept([job(at) for at in range(5)])
        assert await finished(dispatcher, 4) == {1, 2, 3, 4}


@pytest.mark.case("delivery-19")
async def test_a_kill_of_the_pod_adds_nothing_to_the_ends_of_workers() -> None:
    """A record ended its worker twice, then its pod was killed while it ran: it is handled, not buried."""
    failures = [Failed(message="ended", exception="headrace.WorkerEnded", crashed=True)] * 2

    async def handle(_: Record) -> Failed | None:
        return failures.pop() if failures else await asyncio.Event().wait() and None

    quick = CONFIG.model_copy(update={"delivery": Delivery(retry=Retry(initial=0.01))})
    first = Dispatcher(quick, handle, Metrics(quick), Lease(600, time.monotonic()))
    record = Record(topic="orders", partition=0, offset=0, key=b"a", value=None)
    async with working(first):
        first.accept([Job(Assignment("orders", 0), record)])
        while len(first.retried) < 2:  # noqa: ASYNC110 - the poll thread looks, nobody tells
            await asyncio.sleep(0.005)
    tried = first.retried[-1].tried
    assert (tried.crashes, tried.worker_crashes) == (0, 2)

    second = Dispatcher(quick, Target().handle, Metrics(quick), Lease(600, time.monotonic()))
    async with working(second):
        again = Record(topic="orders", partition=0, offset=0, key=b"a", value=None, attempt=3)
        second.accept([Job(Assignment("orders", 0), again, tried=tried._replace(crashes=1))])
        await finished(second, 1)
    assert second.finished[0].letter is None


async def test_a_record_that_ends_its_worker_for_the_third_time_is_dead_lettered_whatever_its_pod_went_through() -> (
    None
):
    """And its letter says how often a process ended in all."""

    async def handle(_: Record) -> Failed | None:
        return Failed(message="ended", exception="headrace.WorkerEnded", crashed=True)

    dispatcher = Dispatcher(CONFIG, handle, Metrics(CONFIG), Lease(600, time.monotonic()))
    async with working(dispatcher):
        record = Record(topic="orders", partition=0, offset=0, key=b"a", value=None, attempt=3)
        tried = Tried(3, 1, worker_crashes=2)
        dispatcher.accept([Job(Assignment("orders", 0), record, tried=tried)])
        await finished(dispatcher, 1)
    said = headers.decode(dispatcher.finished[0].letter or ())
    assert (said.reason, said.crashes) == ("crash", 3)
