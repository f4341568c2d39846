"""The session kopf watches with: it adds the token that is valid now and remembers when each watch last said a byte.

A count over open responses would read 0 when all are gone, so that every watch ever opened is remembered.
"""

from __future__ import annotations

import time

import aiohttp

from headrace_operator.clients.api import Api

SILENT = 180.0
"""Seconds without a byte after which a watch is taken for dead; the server sends a bookmark each 60 s."""


class Watches:
    """An aiohttp client middleware."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._alive: dict[str, float] = {}
        self._open: dict[str, tuple[aiohttp.StreamReader, int]] = {}

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Add the token; note an opened watch."""
        token = await self._api.authorization()
        if token:
            request.headers["Authorization"] = token
        if request.url.query.get("watch") != "true":
            return await handler(request)
        self._alive.setdefault(request.url.path, time.monotonic())
        response = await handler(request)
        if response.status == 200:
            self._alive[request.url.path] = time.monotonic()
            self._open[request.url.path] = (response.content, 0)
        return response

    def opened(self) -> int:
        """Return how many watches were ever opened."""
        return len(self._open)

    def silence(self) -> float:
        """Return for how many seconds the most silent watch said nothing."""
        now = time.monotonic()
        for path, (content, before) in self._open.items():
            if content.total_bytes != before:
                self._open[path], self._alive[path] = (content, content.total_bytes), now
        return max((now - at for at in self._alive.values()), default=0.0)


class Kept(aiohttp.ClientSession):
    """A session that kopf cannot close: closed under its watches, kopf would hang instead of ending."""

    async def close(self) -> None:
        """Stay open; `end` closes."""

    async def end(self) -> None:
        """Close the session for good."""
        await super().close()
