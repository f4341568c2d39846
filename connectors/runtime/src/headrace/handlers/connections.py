"""The connections to one HTTP server: those that are kept between requests, and new ones."""

from __future__ import annotations

import asyncio
import ssl
import time
from urllib.parse import unquote

import aiohappyeyeballs
from yarl import URL

from headrace.handlers.connection import Connection
from headrace.handlers.resolver import Resolver

KEPT = 30.0
"""Seconds after which a connection that nobody used is closed."""

HEAD_START = 0.25
"""Seconds that an address has before the next one is tried beside it (RFC 8305, 5)."""


class Connections:
    """Connections to the server of ``url``; one event loop owns them."""

    def __init__(self, url: URL, *, excerpt: int) -> None:
        """Open nothing yet; of what is answered but success ``excerpt`` bytes are kept."""
        assert url.raw_host is not None
        assert url.port is not None
        self._tls = _tls() if url.scheme == "https" else None
        host = unquote(url.raw_host)  # of an IPv6 address, the zone
        self._name = host.rstrip(".").partition("%")[0]
        self._resolver = Resolver(host, url.port)
        self._excerpt = excerpt
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def kept(self) -> Connection | None:
        """Return a connection that served before, the last one used first, if there is any."""
        for place in reversed(range(len(self._idle))):
            if self._idle[place].is_free:
                return self._idle.pop(place)
        return None

    async def open(self, until: float) -> Connection:
        """Return a new connection, by ``until``, a monotonic time in seconds; raises OSError, UnicodeError."""
        async with asyncio.timeout(until - time.monotonic()):
            connection = await self._connect()
        if not connection.is_closing:
            self._all.add(connection)
        return connection

    async def close(self) -> None:
        """Close all, and wait until they are: an event loop that ends first leaves them open."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._all):
            connection.close()
        while self._all:
            self._closed.clear()
            await self._closed.wait()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = await self._resolver.find()
        try:
            found = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=HEAD_START)
        except OSError:
            self._resolver.forget()
            raise
        name = self._name if self._tls else None
        return (await loop.create_connection(self._made, sock=found, ssl=self._tls, server_hostname=name))[1]

    def _made(self) -> Connection:
        return Connection(self._excerpt, self._rest, self._forget)

    def _rest(self, connection: Connection) -> None:
        connection.rests_since = time.monotonic()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEPT, self._sweep)

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._closed.set()
        if connection in self._idle:
            self._idle.remove(connection)

    def _sweep(self) -> None:
        """Close what rests for too long: the first ones, as the last used is the first used again."""
        before = time.monotonic() - KEPT
        for connection in [one for one in self._idle if one.rests_since <= before]:
            self._idle.remove(connection)
            connection.close()
        self._timer = asyncio.get_running_loop().call_later(KEPT, self._sweep) if self._idle else None


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
