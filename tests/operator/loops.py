"""The operator's loop in this process: the real API server and the real clients, without watches.

Whoever uses it calls ``reconcile`` or puts keys; a ConnectCluster's address leads to a port of loopback. Connect is
asked live in each pass, so that it sees what was just done there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from headrace_operator.clients.agent import Agents
from headrace_operator.clients.api import Api, connection
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.connect_entrances import Entrances
from headrace_operator.clients.errors import Busy
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.clients.relay import Relays
from headrace_operator.handlers.rings import NEIGHBOURS
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kube import Children, Manifest
from headrace_operator.observed.value import Absent
from headrace_operator.reconcile.execute import BEGIN
from headrace_operator.reconcile.lease import Lease
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.remote import Remote
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.operator import worlds
from tests.waiting import PATIENCE, look_until


class Loopback(AbstractResolver):
    """Every name is a port of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        """Return the one address, whatever ``host`` and ``port`` are."""
        known = {"hostname": host, "host": "127.0.0.1", "port": self._port, "family": socket.AF_INET}
        return [ResolveResult(**known, proto=0, flags=socket.AI_NUMERICHOST)]  # type: ignore[typeddict-item]

    async def close(self) -> None:
        """Hold nothing."""


@asynccontextmanager
async def answering(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Answer every request over HTTP with ``answer`` and give the port, which is any that is free unless told."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def looping(server: ApiServer, *, connect: int = 1, me: str = "loop", cluster: str = "") -> AsyncIterator[Loop]:
    """Give a loop that holds its Lease, of a ``cluster``.

    Connect is asked at the port ``connect`` of loopback, where 1 is nobody.
    """
    async with AsyncExitStack() as stack:
        api = Api(await connection(str(server.kubeconfig)))
        stack.push_async_callback(api.close)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Loopback(connect)))
        await stack.enter_async_context(session)
        kube = Kube(api, cluster)
        kafkas = Kafkas(kube)
        stack.callback(kafkas.close)
        lease = Lease("default", me, duration=30, retry=0.2, margin=5)
        loop = Loop(
            remote=Remote(
                kube=kube,
                near=kube,
                connect=Connect(session, kept=0),
                kafkas=kafkas,
                entrances=Entrances(kube),
                agents=Agents(session, kept=0),
                relays=Relays(session),
            ),
            lease=lease,
            settings=worlds.SETTINGS,
            fleet=Fleet(),
        )
        holding = asyncio.create_task(lease.run(api))
        try:
            async with asyncio.timeout(PATIENCE):
                while not lease.held(BEGIN) or not await _lists(kube):  # noqa: ASYNC110 - neither tells when it is so
                    await asyncio.sleep(0.02)
            yield loop
        finally:
            holding.cancel()
            await asyncio.wait([holding])


def passed(server: ApiServer, key: Key, **remote: Any) -> None:
    """Make a pass over a resource that goes well, through other clients if they are given."""

    async def make() -> None:
        async with looping(server) as loop:
            await look(with_remote(loop, **remote), key)

    asyncio.run(make())


async def look(loop: Loop, key: Key, times: int = 1) -> None:
    """Make passes over ``key`` until so many more have gone well: for one of them the server may be too busy."""
    begun = _went_well(loop, key)
    await until(f"passes over {key}", lambda: _went_well(loop, key) >= begun + times, loop, key)


def _went_well(loop: Loop, key: Key) -> float:
    ended = {"kind": key.kind, "outcome": "ok"}
    return loop.fleet.registry.get_sample_value("headrace_operator_reconciliations_total", ended) or 0.0


async def until(what: str, holds: Callable[[], object], loop: Loop, *keys: Key) -> None:
    """Make passes over ``keys``, in order, until something holds; raises ``AssertionError`` saying ``what``."""

    async def passes() -> None:
        for key in keys:
            await loop.reconcile(key)

    try:
        await look_until(holds, passes, every=0.02)  # without the Lease, renewed meanwhile, a pass ends at once
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:.0f} s in vain for {what}") from None


async def _lists(kube: Kube) -> bool:
    """Tell whether the API server lists our kinds; it answers 429 for a while after their CRDs came."""
    try:
        for kind in NEIGHBOURS:
            await kube.resources(kind, "default")
    except Busy:
        return False
    return True


async def held(kube: Kube, made: Iterable[Manifest]) -> Children:
    """Return what the API server holds of objects that were applied."""
    places = [(one["metadata"]["namespace"], one["kind"], one["metadata"]["name"]) for one in made]
    found = {(kind, name): await kube.child(namespace, kind, name) for namespace, kind, name in places}
    return Children(objects={at: one for at, one in found.items() if not isinstance(one, Absent)})


def with_remote(loop: Loop, **changes: Any) -> Loop:
    """Return a loop that remembers the same and asks through other clients."""
    return dataclasses.replace(loop, remote=dataclasses.replace(loop.remote, **changes))
