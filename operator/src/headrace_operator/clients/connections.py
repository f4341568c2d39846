"""Connections over HTTP that are closed when their pool is, also those that it had given up before.

aiohttp waits for what its pool holds. It forgets the connection of a request that was cancelled, whose TLS says goodbye
in its own time: an event loop that ends meanwhile leaves the socket open (aiohttp's issue 1925).
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler


class Connections(aiohttp.TCPConnector):
    """A pool of connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._open: dict[asyncio.Future[None], asyncio.WriteTransport] = {}

    async def _create_connection(self, *what: Any) -> ResponseHandler:
        made = await super()._create_connection(*what)
        if (transport := made.transport) and (lost := made.closed):
            self._open[lost] = transport
            lost.add_done_callback(self._forget)
        return made

    def _forget(self, lost: asyncio.Future[None]) -> None:
        self._open.pop(lost)
        lost.exception()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection, without a goodbye where one is under way, and wait until it is closed."""
        await super().close(abort_ssl=abort_ssl)
        for transport in self._open.values():
            transport.abort()
        if self._open:
            await asyncio.wait(self._open)
