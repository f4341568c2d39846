"""A server on loopback that says what no web service would: too much, too slowly, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.ports import free_port


class Socket:
    """Reads a request, sends ``first``, then ``again`` for ever with a ``pause`` in seconds, or hangs without it."""

    def __init__(self, first: bytes = b"", again: bytes = b"", pause: float = 0) -> None:
        self.first, self.again, self.pause = first, again, pause
        self.url, self.port, self.sent = "", 0, 0
        self.asked: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it is closed."""
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.first)
            while self.again:
                writer.write(self.again)
                await writer.drain()
                self.sent += len(self.again)
                await asyncio.sleep(self.pause)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(server: Socket) -> AsyncIterator[Socket]:
    """Serve on a port of loopback."""
    listener = await asyncio.start_server(server.answer, "127.0.0.1", free_port())
    server.port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listener.close()
