"""Answers ``/healthz``, ``/readyz`` and ``/metrics`` of a consumer pod.

Liveness fails only when the poll thread stands still or a partition is surely stuck; a slow or failing handler is no
reason to restart.
"""

from __future__ import annotations

import time

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headrace.metrics import Metrics
from headrace.worker.poll import Poller

SILENT = 30.0
"""Seconds without a turn of the poll thread."""


async def serve(poller: Poller, metrics: Metrics, port: int) -> web.AppRunner:
    """Listen on ``port`` of all addresses; the caller cleans up the runner. Raises ``OSError`` when it is taken."""

    async def alive(_: web.Request) -> web.Response:
        silent = time.monotonic() - poller.beat
        if poller.stalls.stuck:
            return _answer(False, f"records in Kafka that do not come: {poller.stalls.stuck}")
        return _answer(silent < SILENT, f"the poll thread last turned {silent:.0f} s ago")

    async def ready(_: web.Request) -> web.Response:
        if poller.stalls.stalled:
            return _answer(False, f"records in Kafka that do not come: {poller.stalls.stalled}")
        if poller.refusal:
            return _answer(False, poller.refusal)
        return _answer(poller.ready, "partitions assigned" if poller.ready else "not assigned, stopped or stopping")

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
