"""Answers ``/sources`` and ``/health`` on one port, and ``/metrics`` on another, so that each may be open to others."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from headrace_agent import places, told
from headrace_agent.looking import Looking


async def serve(looking: Looking, registry: CollectorRegistry, port: int, metrics_port: int) -> list[web.AppRunner]:
    """Listen on both ports of all addresses; the caller cleans the runners up. Raises ``OSError`` for a taken port."""

    async def sources(_: web.Request) -> web.Response:
        return web.Response(text=told.dump(looking.told()), content_type="application/json")

    async def health(_: web.Request) -> web.Response:
        if stuck := looking.stuck():
            return web.Response(status=503, text=f"no look has ended for too long: {', '.join(stuck)}\n")
        return web.Response(text="each source is looked at\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    answers = [web.get(places.SOURCES, sources), web.get(places.HEALTH, health)]
    return [await _listen(port, answers), await _listen(metrics_port, [web.get(places.METRICS, metrics)])]


async def _listen(port: int, routes: list[web.RouteDef]) -> web.AppRunner:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
