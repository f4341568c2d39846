"""Resources that are looked at equally often are looked at together, whenever each was looked at first."""

from __future__ import annotations

import asyncio

import pytest

from headrace_operator.reconcile.pace import Pace
from headrace_operator.reconcile.queue import Queue
from headrace_operator.reconcile.turns import Key

EVERY = 5.0


@pytest.mark.looptime
async def test_a_staggered_fleet_falls_into_step() -> None:
    """Twenty resources that came at twenty times are looked at in one moment after some looks."""
    looks: dict[float, int] = {}
    pace = Pace()

    async def look(key: Key) -> None:
        now = asyncio.get_running_loop().time()
        looks[round(now, 2)] = looks.get(round(now, 2), 0) + 1
        queue.put(key, round(pace.next(key, EVERY, now) - now, 3))

    queue = Queue(look)
    for number in range(20):
        queue.put(Key("Consumer", "shop", f"c{number}"), number * 0.375)
    running = asyncio.create_task(queue.run())
    await asyncio.sleep(81)
    running.cancel()

    assert [count for at, count in looks.items() if at > 61] == [20] * 4
