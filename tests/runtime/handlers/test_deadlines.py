"""One timer for all attempts: each is ended when it is due, and nothing else is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from headrace.handlers.deadlines import Deadlines
from tests.waiting import PATIENCE

SHORT = 0.05
Work = Callable[[], Awaitable[object]]


async def within(deadlines: Deadlines, work: Work) -> object:
    with deadlines:
        return await work()


async def forever() -> None:
    await asyncio.Event().wait()


async def test_what_takes_too_long_ends_and_what_does_not_is_left_alone() -> None:
    deadlines = Deadlines(SHORT)
    slow = [asyncio.create_task(within(deadlines, forever)) for _ in range(3)]
    assert await within(deadlines, lambda: asyncio.sleep(0, "done")) == "done"
    found = await asyncio.gather(*slow, return_exceptions=True)
    assert [type(one) for one in found] == [TimeoutError] * 3
    assert [one.cancelling() for one in slow] == [0] * 3


async def test_each_is_due_as_long_after_its_own_begin() -> None:
    deadlines = Deadlines(SHORT)

    async def lasted() -> float:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await within(deadlines, forever)
        return time.monotonic() - begun

    tasks = []
    for _ in range(5):
        tasks.append(asyncio.create_task(lasted()))
        await asyncio.sleep(SHORT / 3)
    assert min(await asyncio.gather(*tasks)) >= SHORT


async def test_a_task_may_be_within_it_again_and_again() -> None:
    deadlines = Deadlines(SHORT)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await within(deadlines, forever)
    assert await within(deadlines, lambda: asyncio.sleep(0, "done")) == "done"


async def test_who_is_cancelled_for_another_reason_is_not_late() -> None:
    deadlines = Deadlines(PATIENCE)
    task = asyncio.create_task(within(deadlines, forever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_late_and_cancelled_is_cancelled() -> None:
    deadlines = Deadlines(SHORT)
    task: asyncio.Task[object]

    async def work() -> None:
        try:
            await forever()
        finally:
            task.cancel()

    task = asyncio.create_task(within(deadlines, work))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_answers_though_it_is_late_has_answered() -> None:
    deadlines = Deadlines(SHORT)

    async def work() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "late"
        return "never"

    task = asyncio.create_task(within(deadlines, work))
    assert await task == "late"
    assert task.cancelling() == 0


async def test_what_fails_by_itself_fails_by_that() -> None:
    async def work() -> None:
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        await within(Deadlines(SHORT), work)
