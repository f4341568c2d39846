"""The relay: many connections at once, large streams both ways, half-closed ends, a server that is away."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cluster import relay
from tests.ports import free_port

SIZE = 3_000_000


@asynccontextmanager
async def relayed(port: int) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    task = asyncio.create_task(relay.serve(listener, port))
    try:
        yield int(listener.getsockname()[1])
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer only after the client's end, so that a half-closed stream must be passed on, and must not be collected."""
    asked = await reader.read()
    if asked[0] % 20 == 0:
        gc.collect()
    writer.write(asked)
    await writer.drain()
    writer.close()


async def ask(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_many_streams_at_once_arrive_whole() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, relayed(server.sockets[0].getsockname()[1]) as port:
        sent = [bytes([number]) * (SIZE if number < 3 else 10) for number in range(60)]
        answers = await asyncio.gather(*(ask(port, data) for data in sent))
        assert [number for number, data in enumerate(sent) if answers[number] != data] == []


async def test_a_server_that_is_away_ends_the_connection_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    async with relayed(free_port()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert "cannot reach the API server" in capsys.readouterr().err
