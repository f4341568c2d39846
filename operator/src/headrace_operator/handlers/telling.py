"""What the operator says of itself over HTTP: the page for Prometheus, whether it is ready, and whether it is alive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from headrace_operator.handlers.page import page

WhyNot = Callable[[], str | None]
"""Says why something does not hold; None while it does."""


async def metrics(stack: AsyncExitStack, port: int, registry: CollectorRegistry, why_not_ready: WhyNot) -> None:
    """Serve ``/metrics`` and ``/readyz`` on ``port`` until ``stack`` ends."""

    async def metrics_page(_: web.Request) -> web.Response:
        # In a thread: with thousands of partitions it takes a second, in which the Lease could not be renewed.
        told = await asyncio.to_thread(page, registry)
        return web.Response(body=told, headers={"Content-Type": CONTENT_TYPE_LATEST})

    await _serve(stack, port, web.get("/metrics", metrics_page), web.get("/readyz", _answer(why_not_ready)))


async def health(stack: AsyncExitStack, port: int, why_not_alive: WhyNot) -> None:
    """Serve ``/healthz`` on ``port`` until ``stack`` ends."""
    await _serve(stack, port, web.get("/healthz", _answer(why_not_alive)))


def _answer(why_not: WhyNot) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        reason = why_not()
        return web.Response(text="ok\n") if reason is None else web.Response(text=f"{reason}\n", status=503)

    return answer


async def _serve(stack: AsyncExitStack, port: int, *routes: web.RouteDef) -> None:
    app = web.Application()
    app.router.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, port=port).start()
