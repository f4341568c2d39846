"""The dispatcher alone, without Kafka: what it measures of a record's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from types import TracebackType
from typing import Self

import pytest

from headrace import headers
from headrace.config import Delivery, OnDeadLetter, Retry
from headrace.flow import breaker
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.flow.policy import Failed
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.stores import Standing
from headrace.stores.memory import MemoryStore
from headrace.worker.deduplication import Deduplication
from headrace.worker.dispatch import LOOK, Dispatcher
from headrace.worker.runners import RunnerLost
from tests.runtime.configs import BILLING
from tests.waiting import PATIENCE

CONFIG = BILLING.model_copy(update={"delivery": Delivery(retry=Retry(attempts=3, initial=0.01))})


async def test_a_bug_of_the_handling_fails_its_own_record_only() -> None:
    """The record that trips it is dead-lettered after its attempts; the next one is handled."""

    async def handle(record: Record) -> Failed | None:
        if record.key == b"odd":
            raise LookupError("nobody thought of this")
        return None

    dispatcher = Dispatcher(CONFIG, handle, Metrics(CONFIG), Lease(600, time.monotonic()))
    assignment = Assignment("orders", 0)
    records = [
        Record(topic="orders", partition=0, offset=at, key=key, value=b"v", timestamp=None)
        for at, key in enumerate((b"odd", b"even"))
    ]
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record) for record in records])
        while len(dispatcher.finished) < len(records):  # noqa: ASYNC110 - the poll thread looks, nobody tells
            await asyncio.sleep(0.005)
    runners.cancel()
    await asyncio.wait([runners])

    reasons = {one.record.key: one.reason for one in dispatcher.finished}
    assert reasons == {b"odd": "max-attempts", b"even": None}


async def test_dwell_is_measured_once_and_end_to_end_at_the_success() -> None:
    """A record of 5 s ago that is handled at its second attempt has dwelt once, and ended once."""
    metrics, assignment, again = Metrics(CONFIG), Assignment("orders", 0), asyncio.Event()

    async def handle(record: Record) -> Failed | None:
        if record.attempt == 1:
            return Failed(message="busy", exception="503")
        again.set()
        return None

    dispatcher = Dispatcher(CONFIG, handle, metrics, Lease(600, time.monotonic()))
    written = int(time.time() * 1000) - 5000
    record = Record(topic="orders", partition=0, offset=0, key=b"k", value=b"v", timestamp=written)
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record)])
        await again.wait()
        await dispatcher.drain([assignment])
    runners.cancel()
    await asyncio.wait([runners])

    assert _of(metrics, "headrace_consumer_dwell_seconds_count") == 1
    assert _of(metrics, "headrace_consumer_dwell_seconds_sum") >= 5
    assert _of(metrics, "headrace_end_to_end_latency_seconds_count") == 1
    assert _of(metrics, "headrace_consumer_retries_total") == 1


def _of(metrics: Metrics, name: str) -> float:
    labels = {"resource_namespace": "shop", "pipeline": "orders", "consumer": "billing"}
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, name
    return found


def _records(count: int, **more: object) -> list[Record]:
    return [
        Record(topic="orders", partition=0, offset=at, key=b"k%d" % at, value=b"v", timestamp=None, **more)  # type: ignore[arg-type]
        for at in range(count)
    ]


async def _finished(
    handle: Callable[[Record], object], records: Sequence[Record], once: Deduplication | None = None
) -> list[Finished]:
    """Handle ``records`` until each is finished, with what the handler of the runtime makes of ``handle``."""
    dispatcher = Dispatcher(CONFIG, handle, Metrics(CONFIG), Lease(600, time.monotonic()), once)  # type: ignore[arg-type]
    assignment = Assignment("orders", 0)
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record) for record in records])
        while len(dispatcher.finished) < len(records):
            assert not runners.done()
            await asyncio.sleep(0.005)
    runners.cancel()
    await asyncio.wait([runners])
    return list(dispatcher.finished)


class Scope:
    """A cancel scope as libraries have them: it cancels its host task, also a moment after it was left."""

    def __enter__(self) -> Self:
        self._host = asyncio.current_task()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._host is not None
        asyncio.get_running_loop().call_later(0.02, self._host.cancel)


async def _cancels_itself(_: Record) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def _cancels_itself_and_returns(_: Record) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def _is_cancelled_later(_: Record) -> None:
    with Scope():
        pass


async def _waits_and_is_cancelled_later(_: Record) -> None:
    with Scope():
        await asyncio.sleep(0)


async def _is_cancelled_and_goes_on(_: Record) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


async def _has_a_slow_child(_: Record) -> None:
    task = asyncio.current_task()
    assert task is not None
    children.append(asyncio.create_task(_cancel_later(task)))


children: list[asyncio.Task[None]] = []


async def _cancel_later(task: asyncio.Task[None]) -> None:
    await asyncio.sleep(0.01)
    task.cancel()


async def _exits(_: Record) -> None:
    raise SystemExit


@pytest.mark.case("delivery-6")
@pytest.mark.parametrize(
    ("handle", "reason"),
    [
        (_cancels_itself, "max-attempts"),
        (_cancels_itself_and_returns, "max-attempts"),
        (_is_cancelled_later, None),
        (_waits_and_is_cancelled_later, None),
        (_is_cancelled_and_goes_on, None),
        (_has_a_slow_child, None),
        (_exits, "max-attempts"),
    ],
)
async def test_what_an_attempt_does_to_its_task_is_done_to_it_alone(
    handle: Callable[[Record], object], reason: str | None
) -> None:
    """More records than runners, each with its own end: 40 letters, or 40 handled, and the runners go on."""
    finished = await _finished(handle, _records(40))
    assert [one.reason for one in finished] == [reason] * 40


class SlowStore(MemoryStore):
    """One that takes longer to note what is done than a scope takes to cancel its host."""

    async def done(self, message_id: str) -> None:
        await asyncio.sleep(0.05)
        await super().done(message_id)


@pytest.mark.case("delivery-6")
@pytest.mark.parametrize("handle", [_is_cancelled_later, _waits_and_is_cancelled_later, _has_a_slow_child])
async def test_what_an_attempt_did_to_its_task_does_not_keep_its_message_from_being_noted(
    handle: Callable[[Record], object],
) -> None:
    store = SlowStore(most=100, window=1e6, lease=1e6, clock=time.monotonic)
    finished = await _finished(handle, _records(40), Deduplication(store, Metrics(CONFIG)))
    assert [one.reason for one in finished] == [None] * 40
    assert {await store.claim(record.deduplication_id, "another") for record in _records(40)} == {Standing.DONE}


@pytest.mark.case("delivery-6")
@pytest.mark.parametrize("waits", [True, False])
async def test_what_an_attempt_leaves_in_its_context_no_other_finds(waits: bool) -> None:
    """As for a log's bound fields: a value that can be compared with nothing is not found, either."""

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    bound: ContextVar[Odd | None] = ContextVar("bound", default=None)
    found = []

    async def handle(_: Record) -> None:
        found.append(bound.get())
        bound.set(Odd())
        if waits:
            await asyncio.sleep(0)

    await _finished(handle, _records(40))
    assert [one is None for one in found] == [True] * 40


@pytest.mark.case("delivery-6")
async def test_a_runner_that_is_lost_is_a_fault() -> None:
    """A handler that cancels every task of the process does not leave it running without runners, or end it well."""

    async def cancels_all(_: Record) -> None:
        for task in asyncio.all_tasks() - spared:
            task.cancel()
        await asyncio.sleep(0)

    dispatcher = Dispatcher(CONFIG, cancels_all, Metrics(CONFIG), Lease(600, time.monotonic()))
    runners = asyncio.create_task(dispatcher.run())
    spared = {runners, asyncio.current_task()}
    dispatcher.accept([Job(Assignment("orders", 0), record) for record in _records(1)])
    with pytest.raises(RunnerLost):
        await asyncio.wait_for(runners, 60)


@pytest.mark.case("delivery-5")
async def test_a_record_that_cannot_be_read_is_dead_lettered_and_not_handled() -> None:
    handled: list[Record] = []

    async def handle(record: Record) -> None:
        handled.append(record)

    finished = await _finished(handle, _records(1, unreadable="a header is not UTF-8"))
    assert (handled, [one.reason for one in finished]) == ([], ["non-retriable"])


@pytest.mark.case("delivery-1")
async def test_no_attempt_begins_while_it_is_not_sure_whose_the_records_are() -> None:
    """The lease has lapsed: what is given away meanwhile is left to its new owner, what is confirmed is handled."""
    handled: list[Record] = []

    async def handle(record: Record) -> None:
        handled.append(record)

    lease = Lease(600, time.monotonic() - 1000)
    dispatcher = Dispatcher(CONFIG, handle, Metrics(CONFIG), lease)
    ours, theirs = Assignment("orders", 0), Assignment("orders", 1)
    records = [replace(record, partition=at) for at, record in enumerate(_records(2))]
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(ours, records[0]), Job(theirs, records[1])])
        await asyncio.sleep(4 * LOOK)
        before = list(handled)
        theirs.given_away = True
        await dispatcher.drain([theirs])
        lease.begin(time.monotonic())
        await dispatcher.drain([ours])
    runners.cancel()
    await asyncio.wait([runners])

    assert before == []
    assert handled == [records[0]]


async def test_each_probe_of_a_target_that_is_away_is_of_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one record that always fails would keep the circuit open for ever."""
    monkeypatch.setattr(breaker, "REST", 0.05)
    metrics, probes, enough = Metrics(CONFIG), list[bytes | None](), asyncio.Event()

    async def handle(record: Record) -> Failed | None:
        if _of(metrics, "headrace_consumer_circuit_open"):
            probes.append(record.key)
        if len(probes) == 4:
            enough.set()
        return Failed(message="busy", exception="503", status=503)

    dispatcher = Dispatcher(BILLING, handle, metrics, Lease(600, time.monotonic()))
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(Assignment("orders", 0), record) for record in _records(30)])
        await enough.wait()
    runners.cancel()
    await asyncio.wait([runners])

    assert len(set(probes)) == len(probes)
    assert not dispatcher.finished


class AskedLate(MemoryStore):
    """One that answers for all but the first record once it ``may``."""

    may = asyncio.Event()

    async def claim(self, message_id: str, token: str) -> Standing:
        if message_id != _records(1)[0].deduplication_id:
            await self.may.wait()
        return await super().claim(message_id, token)


async def test_nothing_begins_in_a_partition_that_stands_though_its_claim_was_on_the_way() -> None:
    """A claim that came then is let go: whoever goes on with the partition handles its record."""
    handled: list[Record] = []

    async def handle(record: Record) -> Failed | None:
        handled.append(record)
        return Failed(message="not wanted", exception="headrace.Reject", retriable=False)

    stopping = CONFIG.model_copy(update={"delivery": Delivery(on_dead_letter=OnDeadLetter(action="Stop"))})
    store = AskedLate(most=100, window=1e6, lease=1e6, clock=time.monotonic)
    once = Deduplication(store, Metrics(CONFIG))
    dispatcher = Dispatcher(stopping, handle, Metrics(CONFIG), Lease(600, time.monotonic()), once)
    assignment, records = Assignment("orders", 0), _records(3)
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record) for record in records])
        while not dispatcher.finished:  # noqa: ASYNC110 - the poll thread looks, nobody tells
            await asyncio.sleep(0.005)
        store.may.set()
        await dispatcher.drain([assignment])
    runners.cancel()
    await asyncio.wait([runners])

    assert handled == records[:1]
    assert [one.reason for one in dispatcher.finished] == ["non-retriable"]
    assert [await store.claim(one.deduplication_id, "another") for one in records] == [Standing.NEW] * 3


PATIENT = BILLING.model_copy(update={"delivery": Delivery(retry=Retry(attempts=3, initial=3600, max=3600))})


@pytest.mark.parametrize(("seconds", "parked"), [(29.0, []), (31.0, [0, 1, 2])])
async def test_a_key_whose_next_attempt_is_far_away_leaves_the_memory(seconds: float, parked: list[int]) -> None:
    """With all that is behind its record, and how that was tried; what comes later follows."""

    async def handle(record: Record) -> Failed | None:
        return Failed(message="closed", exception="Retry", after=seconds)

    dispatcher = Dispatcher(PATIENT, handle, Metrics(PATIENT), Lease(600, time.monotonic()))
    assignment = Assignment("orders", 0)
    assignment.parks = True
    records = [replace(one, key=b"k") for one in _records(3)]
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record) for record in records[:2]])
        while not dispatcher.retried:  # noqa: ASYNC110 - the poll thread looks, nobody tells
            await asyncio.sleep(0.005)
        dispatcher.accept([Job(assignment, records[2])])
    runners.cancel()
    await asyncio.wait([runners])

    leaving = list(dispatcher.keys.leaving)
    assert [one.record.offset for one in leaving] == parked
    assert [headers.decode(one.letter or ()).attempts for one in leaving] == [1, 0, 0][: len(parked)]
    assert dispatcher._lanes.pending([assignment]) == 3 - len(parked)


@pytest.mark.parametrize(("seconds", "parked"), [(20, False), (1000, True)])
async def test_what_has_long_to_wait_after_a_restart_leaves_the_memory(seconds: int, parked: bool) -> None:
    async def handle(record: Record) -> Failed | None:
        return None

    dispatcher = Dispatcher(PATIENT, handle, Metrics(PATIENT), Lease(600, time.monotonic()))
    assignment = Assignment("orders", 0)
    assignment.parks = True
    (record,) = _records(1, attempt=2)
    due = int(time.time()) + seconds
    dispatcher.accept([Job(assignment, record, tried=Tried(2, due=due, since=1))])
    assert (len(dispatcher.keys.leaving), dispatcher._lanes.pending([assignment])) == (parked, not parked)
    for one in dispatcher.keys.leaving:
        said = headers.decode(one.letter or ())
        assert (said.attempts, said.next_attempt_at) == (1, due * 1000)
