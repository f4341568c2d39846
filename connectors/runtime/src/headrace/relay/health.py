"""Answers ``/healthz``, ``/readyz``, ``/metrics`` and ``/relay`` of a relay's pod.

Liveness fails only when the loop stands still: a database or a Kafka that is away is no reason to restart.
"""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headrace.relay.metrics import Metrics
from headrace.relay.standing import Standing

SILENT = 60.0
"""Seconds without a turn of the loop."""


async def serve(standing: Standing, metrics: Metrics, port: int) -> web.AppRunner:
    """Listen on ``port`` of all addresses; the caller cleans up the runner. Raises ``OSError`` when it is taken."""

    async def alive(_: web.Request) -> web.Response:
        return _answer(standing.silence < SILENT, f"the loop last turned {standing.silence:.0f} s ago")

    async def ready(_: web.Request) -> web.Response:
        if standing.troubles:
            return _answer(False, "; ".join(standing.troubles.values()))
        return _answer(standing.looked or standing.figures is not None, "the table is read")

    async def measured(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", measured)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _answer(good: bool, text: str) -> web.Response:
    return web.Response(status=200 if good else 503, text=text + "\n")
