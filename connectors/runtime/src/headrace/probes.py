"""Answers ``/healthz``, ``/readyz`` and ``/metrics`` of a pod; whether it is well, the process in it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Answer = tuple[bool, str]
"""Whether it is well, and the words for it."""

NONE: Mapping[str, Callable[[], str]] = {}


async def serve(
    alive: Callable[[], Answer],
    ready: Callable[[], Answer],
    registry: CollectorRegistry,
    port: int,
    documents: Mapping[str, Callable[[], str]] = NONE,
) -> web.AppRunner:
    """Listen on ``port`` of all addresses; the caller cleans up the runner. Raises ``OSError`` when it is taken.

    ``documents`` makes the JSON that further paths answer.
    """

    async def liveness(_: web.Request) -> web.Response:
        return _response(*alive())

    async def readiness(_: web.Request) -> web.Response:
        return _response(*ready())

    async def measured(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    def document(make: Callable[[], str]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def made(_: web.Request) -> web.Response:
            return web.Response(text=make(), content_type="application/json")

        return made

    app = web.Application()
    app.router.add_get("/healthz", liveness)
    app.router.add_get("/readyz", readiness)
    app.router.add_get("/metrics", measured)
    for path, make in documents.items():
        app.router.add_get(path, document(make))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _response(good: bool, text: str) -> web.Response:
    return web.Response(status=200 if good else 503, text=text + "\n")
