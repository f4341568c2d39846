"""A coroutine that is begun by hand and awaited from where it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from headrace.handlers.steps import rest
from tests.waiting import PATIENCE


async def _begun_by_hand(coroutine: Coroutine[object, None, object]) -> object:
    return await rest(coroutine, coroutine.send(None))


async def _answers() -> int:
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return await asyncio.to_thread(lambda: 5)


async def _catches() -> str:
    for _ in range(2):
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
    return "done"


async def _fails() -> None:
    await asyncio.sleep(0)
    raise LookupError


async def _returns_when_cancelled() -> str:
    try:
        await asyncio.sleep(PATIENCE)
    except asyncio.CancelledError:
        return "cancelled"
    return "never"


@pytest.mark.parametrize(
    ("work", "cancels", "answer"), [(_answers, 0, 5), (_catches, 2, "done"), (_returns_when_cancelled, 1, "cancelled")]
)
async def test_it_answers_as_if_it_had_been_awaited(
    work: Callable[[], Coroutine[object, None, object]], cancels: int, answer: object
) -> None:
    task = asyncio.create_task(_begun_by_hand(work()))
    for _ in range(cancels):
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
    assert await asyncio.wait_for(task, PATIENCE) == answer


async def test_what_it_raises_comes_out() -> None:
    with pytest.raises(LookupError):
        await _begun_by_hand(_fails())


async def test_a_cancellation_comes_in_and_out() -> None:
    task = asyncio.create_task(_begun_by_hand(asyncio.sleep(PATIENCE)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
