"""A watch that says nothing any more makes the process not alive, so that the kubelet starts it anew."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
from aiohttp import web

from headrace_operator.handlers.watches import SILENT, Watches
from tests.operator import loops

PATH = "/apis/headrace.dev/v1alpha1/namespaces/shop/consumers"


class Api:
    """What the watches need of the API server's client: where it is, and a token."""

    configuration = SimpleNamespace(host="http://127.0.0.1")

    async def authorization(self) -> str:
        return "Bearer token"


async def test_a_watch_is_alive_as_long_as_bytes_come() -> None:
    """Bookmarks count, too; a silence that is longer than three of them does not end by itself."""
    clock, more = [0.0], asyncio.Event()

    async def serve(request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer token"
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b"first\n")
        await more.wait()
        await stream.write(b"second\n")
        await asyncio.Event().wait()
        return stream

    watches = Watches(cast(Any, Api()), [PATH], now=lambda: clock[0])
    assert PATH in str(watches.why_not_ready())
    async with (
        loops.answering(serve) as port,
        aiohttp.ClientSession(middlewares=(watches,)) as session,
        session.get(f"http://127.0.0.1:{port}{PATH}?watch=true") as response,
    ):
        assert await response.content.readline() == b"first\n"
        assert watches.why_not_ready() is None
        assert watches.why_not_alive() is None
        clock[0] += SILENT + 1
        more.set()
        assert await response.content.readline() == b"second\n"
        assert watches.why_not_alive() is None
        clock[0] += SILENT + 1
        assert watches.why_not_alive() == f"No byte came on a watch for {SILENT + 1:.0f} s."


async def test_a_watch_that_is_never_asked_for_is_missed() -> None:
    """As when kopf began before the kind was served."""
    clock = [1.0]

    async def serve(request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    watches = Watches(cast(Any, Api()), [PATH], now=lambda: clock[0])
    async with loops.answering(serve) as port, aiohttp.ClientSession(middlewares=(watches,)) as session:
        await session.get(f"http://127.0.0.1:{port}/version")
    assert watches.why_not_alive() is None
    clock[0] += SILENT + 1

    assert PATH in str(watches.why_not_alive())
