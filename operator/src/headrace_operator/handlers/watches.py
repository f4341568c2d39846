"""What kopf watches with: it adds the token that is valid now and remembers when each watch last said a byte.

A count over open responses would read 0 when all are gone, so that every watch ever opened is remembered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import aiohttp

from headrace_operator.clients.api import Api

SILENT = 180.0
"""Seconds without a byte after which a watch is taken for dead; the server sends a bookmark each 60 s."""


class Watches:
    """An aiohttp client middleware; ``wanted`` are the paths that shall be watched, ``now`` a clock in seconds."""

    def __init__(self, api: Api, wanted: Iterable[str], now: Callable[[], float] = time.monotonic) -> None:
        self._api, self._now = api, now
        self._wanted = frozenset(wanted)
        self._root = urlsplit(api.configuration.host).path.rstrip("/")
        self._begun: float | None = None
        self._asked: set[str] = set()
        self._alive: dict[str, float] = {}
        self._open: dict[str, tuple[aiohttp.StreamReader, int]] = {}

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Add the token; note what is asked for, and an opened watch."""
        path = request.url.path.removeprefix(self._root)
        self._begun = self._begun or self._now()
        self._asked.add(path)
        token = await self._api.authorization()
        if token:
            request.headers["Authorization"] = token
        if request.url.query.get("watch") != "true":
            return await handler(request)
        self._alive.setdefault(path, self._now())
        response = await handler(request)
        if response.status == 200:
            self._alive[path] = self._now()
            self._open[path] = (response.content, 0)
        return response

    def silence(self) -> float:
        """Return for how many seconds the most silent watch said nothing."""
        now = self._now()
        for path, (content, before) in tuple(self._open.items()):
            if content.total_bytes != before:
                self._open[path], self._alive[path] = (content, content.total_bytes), now
        return max((now - at for at in tuple(self._alive.values())), default=0.0)

    def why_not_ready(self) -> str | None:
        """Say which watches were never opened; None when all were."""
        missing = sorted(self._wanted - self._open.keys())
        return f"Not watched yet, does a Role or ClusterRole allow it? {', '.join(missing)}" if missing else None

    def why_not_alive(self) -> str | None:
        """Say that a watch is dead, or that kopf does not even try to open one; None otherwise."""
        silence = self.silence()
        if silence > SILENT:
            return f"No byte came on a watch for {silence:.0f} s."
        never = sorted(self._wanted - self._asked)
        if never and self._begun is not None and self._now() - self._begun > SILENT:
            return f"Nothing asks for {', '.join(never)}: they were not served when the watches began."
        return None
