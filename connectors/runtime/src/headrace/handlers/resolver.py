"""Where the hosts of a name are: asked for many connections at once, and each first in turn."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from typing import Any

FRESH = 10.0
"""Seconds for which an answer counts: a server may close each connection, and the next record needs another."""

Address = tuple[int, int, int, str, tuple[Any, ...]]
"""An address as ``getaddrinfo`` gives it."""


class Resolver:
    """The addresses of one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._found: deque[Address] = deque()
        self._until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def find(self) -> list[Address]:
        """Return the addresses, another one first each time; raises OSError, UnicodeError where there are none."""
        if time.monotonic() >= self._until:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
            await asyncio.shield(self._asking)
        self._found.rotate(-1)
        return list(self._found)

    def forget(self) -> None:
        """Have the name asked for again: nobody was there."""
        self._until = 0.0

    async def _ask(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            self._found = deque(await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
            self._until = time.monotonic() + FRESH
        finally:
            self._asking = None
