"""The queue: equal keys merge, no key is worked on twice at once, due times are kept, a bug ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from headrace_operator.reconcile.queue import NEWS, START, Queue
from headrace_operator.reconcile.turns import Key

pytestmark = pytest.mark.looptime

ONE, OTHER = Key("Consumer", "shop", "billing"), Key("Consumer", "shop", "mail")


@contextlib.asynccontextmanager
async def running(queue: Queue) -> AsyncIterator[asyncio.Task[None]]:
    """Run ``queue`` meanwhile."""
    task = asyncio.create_task(queue.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_edits_during_a_pass_make_one_more_pass() -> None:
    """Four edits while a pass runs are one more pass after it."""
    begun: list[float] = []

    async def work(_: Key) -> None:
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(3)

    queue = Queue(work)
    async with running(queue):
        start = asyncio.get_running_loop().time()
        queue.put(ONE)
        for _ in range(4):
            await asyncio.sleep(0.5)
            queue.put(ONE)
        await asyncio.sleep(20)

    assert [round(at - start) for at in begun] == [0, 3]


async def test_a_slow_key_delays_no_other() -> None:
    """While one key hangs, another is worked on at once."""
    done = asyncio.Event()

    async def work(key: Key) -> None:
        if key == ONE:
            await asyncio.sleep(1000)
        done.set()

    queue = Queue(work)
    async with running(queue):
        queue.put(ONE)
        queue.put(OTHER)
        async with asyncio.timeout(1):
            await done.wait()


async def test_the_sooner_due_time_wins() -> None:
    """A key due in a minute is worked on at once when it is rung, and only once."""
    begun: list[float] = []

    async def work(_: Key) -> None:
        begun.append(asyncio.get_running_loop().time())

    queue = Queue(work)
    async with running(queue):
        start = asyncio.get_running_loop().time()
        queue.put(ONE, 60)
        queue.put(ONE, 5)
        queue.put(ONE, 30)
        await asyncio.sleep(100)

    assert [round(at - start) for at in begun] == [5]


async def test_a_key_whose_worker_was_cancelled_by_someone_else_is_tried_again() -> None:
    """What a worker waits for may be cancelled by another one: the key is not lost for that."""
    done = asyncio.Event()
    tries = 0

    async def work(_: Key) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone
        done.set()

    queue = Queue(work)
    async with running(queue) as task:
        queue.put(ONE)
        async with asyncio.timeout(60):
            await done.wait()
        assert not task.done()


async def test_the_end_of_the_queue_ends_its_workers() -> None:
    """A worker that waits is cancelled with the queue."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work(_: Key) -> None:
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ended.set()

    queue = Queue(work)
    async with running(queue) as task:
        queue.put(ONE)
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])

    assert task.cancelled()
    assert ended.is_set()
    assert len(queue) == 0


@pytest.mark.case("clusters-1")
async def test_who_stands_by_begins_with_nothing_and_then_with_all_at_once() -> None:
    """What was due meanwhile is not late: it could not be looked at; and each key is looked at once."""
    begun: dict[Key, float] = {}
    leads = False

    async def work(key: Key) -> None:
        begun[key] = asyncio.get_running_loop().time()

    queue = Queue(work, may=lambda: leads)
    async with running(queue):
        start = asyncio.get_running_loop().time()
        for _ in range(3):
            queue.put(ONE)
            queue.put(OTHER, 50)
            await asyncio.sleep(100)
        assert (begun, len(queue)) == ({}, 2)
        leads = True
        await asyncio.sleep(1)

    assert [round(at - start) for at in begun.values()] == [300, 300]
    assert queue.delay < 1


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize(("before", "first"), [(300.0, True), (NEWS / 2, False)])
async def test_who_takes_over_begins_with_what_was_rung_of_late(before: float, first: bool) -> None:
    """Its last holder may not have acted on that; where all is new, all is begun with at once."""
    begun: dict[Key, float] = {}
    may = False

    async def work(key: Key) -> None:
        begun.setdefault(key, asyncio.get_running_loop().time())

    queue = Queue(work, may=lambda: may)
    async with running(queue):
        for key in (OTHER, ONE):
            queue.put(key)
        await asyncio.sleep(before)
        queue.put(ONE)
        await asyncio.sleep(5)
        assert len(queue) == 2
        may = True
        await asyncio.sleep(5)

    assert begun[OTHER] - begun[ONE] == pytest.approx(START if first else 0.0)


@pytest.mark.case("clusters-1")
async def test_a_lease_that_was_lost_and_taken_back_loses_no_key() -> None:
    """Also of what was rung meanwhile, and of what is due later."""
    begun: list[Key] = []
    may = True

    async def work(key: Key) -> None:
        begun.append(key)

    queue = Queue(work, may=lambda: may)
    async with running(queue):
        queue.put(OTHER, 30)
        await asyncio.sleep(1)
        may = False
        queue.put(ONE)
        queue.put(OTHER, 10)
        may = True
        await asyncio.sleep(5)
        assert begun == [ONE]
        await asyncio.sleep(10)

    assert begun == [ONE, OTHER]


async def test_a_bug_ends_the_queue() -> None:
    """What a worker raises is raised by the queue."""

    async def work(_: Key) -> None:
        raise LookupError("a bug")

    queue = Queue(work)
    async with running(queue) as task:
        queue.put(ONE)
        await asyncio.wait([task])
        with pytest.raises(ExceptionGroup) as raised:
            task.result()

    assert raised.group_contains(LookupError)
