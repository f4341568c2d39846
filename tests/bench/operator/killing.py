"""Of two operators the one that acts is killed, again and again: how soon the other acts."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp

from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.lease import NAME, VERSION
from tests.bench.operator import crowding
from tests.cluster.fast import ApiServer
from tests.operator import crowd
from tests.operator.operator_process import Operator, operator

SIZE = 20
LONGEST = 600.0
"""Seconds that are waited for the other, and for one that starts."""

MISSED = path("apps/v1", "Deployment", crowd.PLACE, "use0-consumer")
"""What is deleted when one is killed, so that it can be seen that another acts."""


async def measured(server: ApiServer, folder: Path, *, kills: int) -> dict[str, float]:
    """Return how many seconds after each of ``kills`` something was done, at most and on average."""
    async with AsyncExitStack() as stack:
        api = crowd.Patient(await connection(str(server.kubeconfig)))
        stack.push_async_callback(api.close)
        await crowd.connects(stack, crowding.CONNECTS)
        await asyncio.to_thread(crowd.prepare, server, crowd.PLACE)
        await crowd.create(api, crowd.resources(SIZE, crowding.CONNECTS))
        await stack.enter_async_context(crowd.rolling_out(api))
        pair = Pair(api, server, folder, stack.enter_context(ExitStack()))
        await pair.begin("first")
        here = crowding.Crowd(server=server, api=api, places=[crowd.PLACE], operators=list(pair.running.values()))
        await crowding.settle(here, time.monotonic())
        took = [await _kill(pair, number) for number in range(kills)]
    return {"s, at most": max(took), "s, on average": sum(took) / len(took), "kills": len(took)}


class Pair:
    """The operators that run, by name; Leases are held by names that begin so."""

    def __init__(self, api: Api, server: ApiServer, folder: Path, stack: ExitStack) -> None:
        self.api, self.running = api, dict[str, Operator]()
        self._server, self._folder, self._stack = server, folder, stack

    async def begin(self, name: str) -> None:
        """Start one and wait until it watches."""
        running = operator(self._server, self._folder, name=name, program=crowd.PROGRAM, place=crowd.PLACE)
        self.running[name] = self._stack.enter_context(running)
        async with aiohttp.ClientSession() as session, asyncio.timeout(LONGEST):
            while not await _is_ready(session, self.running[name].metrics_port):  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """Kill the one that holds the Lease."""
        lease = await self.api.send("GET", path(VERSION, "Lease", crowd.PLACE, NAME))
        holder = str(lease["spec"]["holderIdentity"])
        name = next(name for name in self.running if holder == name or holder.startswith(f"{name}_"))
        self.running.pop(name).process.kill()


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _kill(pair: Pair, number: int) -> float:
    """Kill the one that acts while another stands by, and return how many seconds later that one has acted."""
    await pair.begin(f"another{number}")
    before = await pair.api.send("GET", MISSED)
    await pair.kill()
    begun = time.monotonic()
    await pair.api.send("DELETE", MISSED)
    async with asyncio.timeout(LONGEST):
        while True:
            found = await pair.api.get(MISSED)
            if found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]:
                break
            await asyncio.sleep(0.05)
    took = time.monotonic() - begun
    print(f"kill {number + 1}: {took:.1f} s", flush=True)
    return took
