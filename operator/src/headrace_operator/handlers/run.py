"""The whole operator in one event loop: our queue and Lease beside kopf's watches; whichever ends, ends all."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import kopf

from headrace_operator.clients.api import Api, connection
from headrace_operator.clients.connections import Connections
from headrace_operator.clients.kube import API_VERSION, Kube
from headrace_operator.clients.remembered import Remembered
from headrace_operator.clients.remembering import Remembering
from headrace_operator.handlers import telling, watching
from headrace_operator.handlers.rings import Rings
from headrace_operator.handlers.serving import Serving
from headrace_operator.handlers.session import Kept
from headrace_operator.handlers.watches import Watches
from headrace_operator.metrics import Fleet
from headrace_operator.reconcile.lease import Lease, hold
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.loop import run as work
from headrace_operator.reconcile.remote import opened
from headrace_operator.settings import Settings

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or a bug, which is raised."""
    stop = _stop_when_asked()
    async with AsyncExitStack() as stack:
        api = Api(await connection(settings.kubeconfig))
        stack.push_async_callback(api.close)
        lease = Lease(settings.namespace, settings.identity)
        remembered = Remembered()
        kube, near = (Kube(Remembering(api, remembered, live=live), settings.cluster_name) for live in (True, False))
        remote = await opened(kube, near, stack)
        loop = Loop(remote=remote, lease=lease, settings=settings, fleet=Fleet(lease.held))
        watches = Watches(api, watching.paths(settings.watch_namespaces))
        session = Kept(middlewares=(watches,), connector=Connections(limit=0, ssl=api.ssl))
        stack.push_async_callback(session.end)
        serving = Serving(api, API_VERSION, watching.PLURALS.values())
        await _tell(loop, serving, watches, settings, stack)
        await serving.wait(stop)
        registry = watching.registry(Rings(loop.queue.put), remembered, session, api.configuration.host, stop)
        await _beside_kopf(work(loop, partial(hold, lease, api.configuration)), registry, settings, stop)


def _stop_when_asked() -> asyncio.Event:
    """Return an event that SIGTERM sets, until kopf takes the signal over: a process 1 has no default for it."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _tell(loop: Loop, serving: Serving, watches: Watches, settings: Settings, stack: AsyncExitStack) -> None:
    _watch(loop, watches)

    def why_not_ready() -> str | None:
        return serving.why_not or watches.why_not_ready()

    await telling.metrics(stack, settings.metrics_port, loop.fleet.registry, why_not_ready)
    await telling.health(stack, settings.health_port, watches.why_not_alive)


def _watch(loop: Loop, watches: Watches) -> None:
    loop.fleet.watch("headrace_operator_leader", "Whether this process may act.", lambda: float(loop.lease.held()))
    loop.fleet.watch("headrace_operator_queue_depth", "Keys that wait.", lambda: float(len(loop.queue)))
    delay = "Seconds that the last pass began after it was due: more is due than is done at once."
    loop.fleet.watch("headrace_operator_queue_delay_seconds", delay, lambda: loop.queue.delay)
    pace = "How many times as far apart looks are as with few resources."
    loop.fleet.watch("headrace_operator_pace", pace, lambda: loop.pace.factor)
    loop.fleet.watch("headrace_operator_watch_silence_seconds", "Silence of the most silent watch.", watches.silence)


async def _beside_kopf(
    working: Coroutine[Any, Any, None], registry: kopf.OperatorRegistry, settings: Settings, stop: asyncio.Event
) -> None:
    ours = asyncio.create_task(working, name="headrace")
    ours.add_done_callback(lambda _: stop.set())
    try:
        await _kopf(registry, settings, stop)
    finally:
        ours.cancel()
        await asyncio.wait([ours])
    if not ours.cancelled():
        ours.result()


async def _kopf(registry: kopf.OperatorRegistry, settings: Settings, stop: asyncio.Event) -> None:
    """Watch until SIGTERM or ``stop``; raises what ended a task of kopf's.

    At its end kopf awaits all that began after it and raises what that ended with. A question to DNS may outlive who
    asked: that it found nothing is nobody's fault by then.
    """
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        standalone=True,
        clusterwide=settings.watches_all,
        namespaces=[] if settings.watches_all else list(settings.watch_namespaces),
        stop_flag=stop,
        # Else kopf asks for the name of its user, who has none in a pod; it exports no type for this text.
        identity=settings.identity,  # type: ignore[arg-type]
    )
    try:
        await kopf.run_tasks(tasks, ignored=before)
    except OSError as error:
        if any(error is task.exception() for task in tasks if not task.cancelled()):
            raise
        log.info("What was still asked at the end had no answer: %s", error)
