"""A window of tasks on uvloop, without order, offsets or retries: what asyncio can do at best."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine

import aiohttp
import uvloop

from tests.bench.consumer.meter import Meter
from tests.bench.consumer.peers.bare import consumer

WINDOW = int(os.environ["BENCH_CONCURRENCY"])
Work = Callable[[bytes], Coroutine[None, None, None]]


async def waits() -> None:
    """Wait 10 ms with each record."""
    meter = Meter()

    async def work(value: bytes) -> None:
        meter.note(value)
        await asyncio.sleep(0.01)
        meter.note(value)

    await _slide(work)


async def posts() -> None:
    """Post each record."""
    url = os.environ["BENCH_URL"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=WINDOW)) as session:

        async def work(value: bytes) -> None:
            async with session.post(url, data=value) as answer:
                assert answer.status == 200
                await answer.read()

        await _slide(work)


async def _slide(work: Work) -> None:
    loop, client = asyncio.get_running_loop(), consumer()
    room = asyncio.Semaphore(WINDOW)
    tasks: set[asyncio.Task[None]] = set()

    def done(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        room.release()
        task.result()

    while True:
        for message in await loop.run_in_executor(None, client.consume, 500, 0.05):
            await room.acquire()
            task = loop.create_task(work(message.value()))
            tasks.add(task)
            task.add_done_callback(done)


if __name__ == "__main__":
    uvloop.run({"waits": waits, "posts": posts}[sys.argv[1]]())
