"""Threads that call a plain function: everything is answered once, however quick the calls are or stand still."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest

from headrace.handlers.threads import Threads
from headrace.record import Record
from tests.waiting import PATIENCE

MOST = 8


def _record(number: int) -> Record:
    return Record(topic="orders", partition=0, offset=number, key=b"k", value=b"v")


@asynccontextmanager
async def _threads(
    function: Callable[[Record], object], seconds: float = PATIENCE, late: Callable[[Record], None] = lambda _: None
) -> AsyncIterator[Threads]:
    before = set(threading.enumerate())
    threads = Threads(function, MOST, seconds, late)
    async with asyncio.timeout(PATIENCE):
        yield threads
        threads.close()
        while set(threading.enumerate()) - before:  # noqa: ASYNC110 - threads tell nobody that they end
            await asyncio.sleep(0.005)


async def _answers(threads: Threads, numbers: range) -> list[object]:
    return await asyncio.gather(*(threads.call(_record(number)) for number in numbers))


@pytest.mark.parametrize("quick", [0, 500])
async def test_as_many_stand_still_at_once_as_there_may_be(quick: int) -> None:
    """Also after many calls that were quick: those that wait for each other all come together."""
    together = threading.Barrier(MOST, timeout=PATIENCE)

    def function(record: Record) -> object:
        return record.offset if record.offset < quick else together.wait() >= 0

    async with _threads(function) as threads:
        assert await _answers(threads, range(quick)) == list(range(quick))
        assert await _answers(threads, range(quick, quick + 3 * MOST)) == [True] * 3 * MOST


async def test_a_call_that_stands_still_holds_up_no_other_nor_an_answer() -> None:
    """Quick calls share a thread; the one amid them that does not end is left behind, with what was answered before."""
    goes_on = threading.Event()

    def function(record: Record) -> object:
        return goes_on.wait(PATIENCE) if record.offset == 550 else record.offset

    async with _threads(function) as threads:
        await _answers(threads, range(500))
        calls = {number: threads.call(_record(number)) for number in range(500, 600)}
        held = calls.pop(550)
        assert await asyncio.gather(*calls.values()) == list(calls)
        assert not held.done()
        goes_on.set()
        assert await held is True


async def test_each_is_called_once_whatever_the_calls_take() -> None:
    """Quick ones, slow ones and some that are called off."""
    dice, called = random.Random(1), Counter[int]()
    takes = [dice.choice((0, 0, 0, 0, 0.0001, 0.002)) for _ in range(3000)]

    def function(record: Record) -> object:
        called[record.offset] += 1
        time.sleep(takes[record.offset])
        return record.offset

    async with _threads(function) as threads:
        calls = []
        for number in range(len(takes)):
            calls.append(threads.call(_record(number)))
            if number % 50 == 0:
                calls[dice.randrange(len(calls))].cancel()
                await asyncio.sleep(0)
        found = await asyncio.gather(*calls, return_exceptions=True)

    assert called == Counter(range(len(takes)))
    assert {number for number, one in enumerate(found) if one != number and not calls[number].cancelled()} == set()


async def test_a_call_that_takes_too_long_is_reported_once_and_so_is_the_next() -> None:
    told: list[int] = []
    goes_on = threading.Event()

    def function(record: Record) -> object:
        return goes_on.wait(PATIENCE) if record.offset else None

    async with _threads(function, seconds=0.02, late=lambda record: told.append(record.offset)) as threads:
        await threads.call(_record(0))
        calls = [threads.call(_record(1))]
        while told != [1]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
        calls.append(threads.call(_record(2)))
        while len(told) < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
        goes_on.set()
        await asyncio.gather(*calls)

    assert told == [1, 2]


async def test_what_a_call_sets_in_its_context_is_not_seen_by_another() -> None:
    tenant: ContextVar[int] = ContextVar("tenant")

    def function(record: Record) -> object:
        before = tenant.get(None)
        tenant.set(record.offset)
        return before

    async with _threads(function) as threads:
        assert await _answers(threads, range(200)) == [None] * 200


async def test_without_a_thread_a_record_is_refused_and_not_called_later(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with _threads(lambda record: called.append(record.offset)) as threads:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                threads.call(_record(0))
        await threads.call(_record(1))
    assert called == [1]
