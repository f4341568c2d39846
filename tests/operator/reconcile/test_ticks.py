"""Resources that are looked at equally often are looked at together, whenever each was looked at first."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headrace_operator.reconcile.pace import to_tick
from headrace_operator.reconcile.queue import Queue
from headrace_operator.reconcile.turns import Key

EVERY = 5.0


@given(seconds=some.floats(0.5, 60), now=some.floats(0, 1e6))
def test_a_tick_is_neither_soon_nor_late(seconds: float, now: float) -> None:
    wait = to_tick(seconds, now)

    assert seconds / 2 <= wait <= seconds * 1.5
    assert (now + wait) / seconds == pytest.approx(round((now + wait) / seconds), abs=1e-3)


@pytest.mark.looptime
async def test_a_staggered_fleet_falls_into_step() -> None:
    """Twenty resources that came at twenty times are looked at in one moment from the second look on."""
    looks: dict[float, int] = {}

    async def look(key: Key) -> None:
        now = asyncio.get_running_loop().time()
        looks[round(now, 2)] = looks.get(round(now, 2), 0) + 1
        queue.put(key, to_tick(EVERY, now))

    queue = Queue(look)
    for number in range(20):
        queue.put(Key("Consumer", "shop", f"c{number}"), number * 0.37)
    running = asyncio.create_task(queue.run())
    await asyncio.sleep(40)
    running.cancel()

    assert [count for at, count in looks.items() if at > 15] == [20] * 4
