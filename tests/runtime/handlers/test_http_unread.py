"""The push over HTTP to servers that do not read what they are sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.runtime.handlers.test_http_wire import OK, RECORD, serving


@pytest.mark.case("delivery-17")
async def test_a_server_that_says_no_more_and_reads_no_more_is_not_waited_for() -> None:
    """It ends its half of the connection amid a body of 10 MB, the rest of which can then not be sent."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        await served.wait()

    async with serving(serve, patience=120.0) as handler, asyncio.timeout(60):
        failed = await handler.handle(replace(RECORD, value=b"v" * 10_000_000))
        served.set()
    assert failed is not None
    assert (failed.retriable, failed.unanswered, failed.timed_out) == (True, True, False)


@pytest.mark.case("delivery-17")
async def test_a_record_does_not_wait_behind_one_that_was_answered_before_it_was_sent() -> None:
    """413 for the head of 10 MB, of which the server reads no more, though it keeps the connection."""
    served = asyncio.Event()
    opened: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(len(opened))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n" if len(opened) == 1 else OK)
        await served.wait()

    async with serving(serve, patience=120.0) as handler, asyncio.timeout(60):
        failed = await handler.handle(replace(RECORD, value=b"v" * 10_000_000))
        assert await handler.handle(RECORD) is None
        served.set()
    assert failed is not None
    assert failed.status == 413
    assert len(opened) == 2
