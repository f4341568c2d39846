"""What a pod answers to whoever asks how it is: byte by byte, and to those who ask badly."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from headrace import probes
from tests.ports import free_port
from tests.waiting import PATIENCE


def broken() -> str:
    raise ValueError("a document that cannot be made")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a pod that is alive, is not ready, and has a gauge and two documents."""
    registry, port = CollectorRegistry(), free_port()
    Gauge("answer", "Of everything.", registry=registry).set(42)
    documents: dict[str, Callable[[], str]] = {"/standing": lambda: '{"well": "ü"}', "/broken": broken}
    server = await probes.serve(lambda: (True, "turns"), lambda: (False, "away"), registry, port, documents)
    yield port
    server.close()


async def asked(port: int, *parts: bytes) -> bytes:
    """Return all that is answered to a request that comes in parts."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/healthz", 200, "turns\n"),
        ("/healthz?verbose=1", 200, "turns\n"),
        ("/readyz", 503, "away\n"),
        ("/standing", 200, '{"well": "ü"}'),
        ("/", 404, "Not Found\n"),
        ("/healthz/", 404, "Not Found\n"),
    ],
)
async def test_each_path_has_its_answer(port: int, path: str, status: int, body: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as response:
        assert (response.status, await response.text()) == (status, body)


async def test_metrics_are_those_of_the_registry(port: int) -> None:
    async with aiohttp.ClientSession() as client:
        for _ in range(2):  # a client that would keep the connection asks again
            async with client.get(f"http://127.0.0.1:{port}/metrics") as response:
                assert response.headers["content-type"].startswith("text/plain; version=")
                assert "answer 42.0\n" in await response.text()
        async with client.get(f"http://127.0.0.1:{port}/standing") as response:
            assert json.loads(await response.read()) == {"well": "ü"}
            assert response.content_type == "application/json"


async def test_an_answer_ends_its_connection_and_says_so(port: int) -> None:
    said = await asked(port, b"GET /hea", b"lthz HTTP/1.1\r\nHost: a\r", b"\n\r\n")
    assert said == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n"
        b"Connection: close\r\n\r\nturns\n"
    )


async def test_a_head_has_the_length_of_what_it_does_not_have(port: int) -> None:
    said = await asked(port, b"HEAD /readyz HTTP/1.0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nContent-Length: 5\r\n" in said
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"501 Not Implemented"),
        (b"GET /healthz\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01 \xff\r\n\r\n", b"400 Bad Request"),
        (b"\r\n\r\n", b"400 Bad Request"),
    ],
)
async def test_what_is_no_question_is_refused(port: int, request_: bytes, status: bytes) -> None:
    assert (await asked(port, request_)).startswith(b"HTTP/1.1 " + status + b"\r\n")


async def test_who_sends_without_end_is_not_heard_out(port: int) -> None:
    with suppress(ConnectionError):  # it is broken off, amid what is sent or behind it
        assert await asked(port, b"GET /", b"a" * (1 << 20), b"a" * (1 << 20)) == b""
    assert (await asked(port, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_who_asks_nothing_holds_up_nobody_and_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "LIMIT", 0.2)
    silent, writer = await asyncio.open_connection("127.0.0.1", port)

    assert (await asked(port, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    async with asyncio.timeout(PATIENCE):
        assert await silent.read() == b""
    writer.close()


async def test_a_document_that_cannot_be_made_is_logged_and_ends_no_more_than_its_connection(port: int) -> None:
    said = asyncio.Queue[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.put_nowait(context["exception"]))

    assert await asked(port, b"GET /broken HTTP/1.1\r\n\r\n") == b""
    assert await asked(port, b"GET /healthz HTTP/1.1\r\n\r\n")

    async with asyncio.timeout(PATIENCE):
        assert "a document that cannot be made" in str(await said.get())


async def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("", 0)) as taken, pytest.raises(OSError, match="address already in use"):
        await probes.serve(lambda: (True, ""), lambda: (True, ""), CollectorRegistry(), taken.getsockname()[1])
