"""The whole operator in one event loop: our queue and Lease beside kopf's watches; whichever ends, ends all."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import aiohttp
import kopf
from kopf._core.engines.peering import Identity

from headrace_operator.clients.api import Api, connection
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.handlers import telling, watching
from headrace_operator.handlers.rings import Rings
from headrace_operator.handlers.watches import Kept, Watches
from headrace_operator.metrics import Fleet
from headrace_operator.reconcile.lease import Lease
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.loop import run as work
from headrace_operator.reconcile.remote import Remote
from headrace_operator.settings import Settings

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or a bug, which is raised."""
    async with AsyncExitStack() as stack:
        api = Api(await connection(settings.kubeconfig))
        stack.push_async_callback(api.close)
        loop = await _loop(api, settings, stack)
        watches = Watches(api)
        session = Kept(middlewares=(watches,), connector=aiohttp.TCPConnector(limit=0, ssl=api.ssl))
        stack.push_async_callback(session.end)
        _watch(loop, watches)
        wanted = len(settings.watch_namespaces) * (len(watching.PLURALS) + 1)
        page = await telling.serve(loop.fleet.registry, lambda: watches.opened() >= wanted, settings.metrics_port)
        stack.push_async_callback(page.cleanup)
        await _beside_kopf(loop, watches, session, api.configuration.host, settings)


async def _loop(api: Api, settings: Settings, stack: AsyncExitStack) -> Loop:
    kube = Kube(api)
    kafkas = Kafkas(kube)
    stack.callback(kafkas.close)
    connect = Connect(await stack.enter_async_context(aiohttp.ClientSession()))
    remote = Remote(kube=kube, connect=connect, kafkas=kafkas)
    return Loop(
        remote=remote, lease=Lease(api, settings.namespace, settings.identity), settings=settings, fleet=Fleet()
    )


def _watch(loop: Loop, watches: Watches) -> None:
    loop.fleet.watch("headrace_operator_leader", "Whether this process may act.", lambda: float(loop.lease.held()))
    loop.fleet.watch("headrace_operator_queue_depth", "Keys that wait.", lambda: float(len(loop.queue)))
    loop.fleet.watch("headrace_operator_watch_silence_seconds", "Silence of the most silent watch.", watches.silence)


async def _beside_kopf(loop: Loop, watches: Watches, session: Kept, server: str, settings: Settings) -> None:
    stop = asyncio.Event()
    rings = Rings(loop.queue.put)
    ours = asyncio.create_task(work(loop), name="headrace")
    ours.add_done_callback(lambda _: stop.set())
    try:
        await kopf.operator(
            registry=watching.registry(rings, watches, session, server, stop),
            standalone=True,
            namespaces=list(settings.watch_namespaces),
            stop_flag=stop,
            identity=Identity(settings.identity),
            liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
        )
    finally:
        ours.cancel()
        await asyncio.wait([ours])
    if not ours.cancelled():
        ours.result()
