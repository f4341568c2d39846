"""The push over HTTP against servers that answer, close and stall as they should not, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from headrace import config
from headrace.flow.policy import Failed
from headrace.handlers.http import HttpHandler
from headrace.record import Record

Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b'{"n": 1}')
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def serving(serve: Connection, *, patience: float = 60.0) -> AsyncIterator[HttpHandler]:
    """A handler that posts to a server whose connections ``serve`` does."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    handler = HttpHandler(config.Http(url=f"http://127.0.0.1:{port}/", timeout=patience), namespace="shop")
    try:
        yield handler
    finally:
        await handler.close()
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return one request's headers, its body read."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return head


def saying(answer: bytes, *, then: float = 0.0) -> Connection:
    """Answer each request with ``answer``; then wait and close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(then)

    return serve


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "rest",
    [
        CHUNKED + b"zz\r\nnot a chunk\r\n",
        CHUNKED + b"5\r\nwh",
        b"Content-Length: 500\r\n\r\nonly so much",
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"Content-Length: 50000000\r\n\r\n" + b"x" * 100_000,
        b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\nnope",
        b"Set-Cookie: " + b"c" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(1000)) + b"Content-Length: 0\r\n\r\n",
    ],
)
@pytest.mark.parametrize(
    ("status", "retriable"), [(b"422 Unprocessable", False), (b"503 Busy", True), (b"200 OK", None)]
)
async def test_the_status_decides_whatever_becomes_of_the_body(
    status: bytes, retriable: bool | None, rest: bytes
) -> None:
    async with serving(saying(b"HTTP/1.1 " + status + b"\r\nRetry-After: 7\r\n" + rest)) as handler:
        failed = await handler.handle(RECORD)
    if retriable is None:
        assert failed is None
    else:
        assert failed is not None
        assert (failed.status, failed.retriable, failed.after) == (int(status[:3]), retriable, 7.0)
        assert len(failed.message) < 400


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422 Unprocessable\r\n" + CHUNKED + b"zz\r\n"],
        [b"HTTP/1.1 422 Unprocessable\r\n" + CHUNKED[:-1], b"\nzz\r\n"],
        [b"HTTP/1.1 422 Unprocessable\r\n" + CHUNKED[:-2], b"\r\nzz\r\n"],
        [b"HTTP/1.1 422 Unprocessable\n" + CHUNKED.replace(b"\r", b"") + b"zz\n"],
    ],
    ids=["after a 100", "parted amid the blank line", "parted before it", "line feeds alone"],
)
async def test_the_status_decides_however_its_head_arrives(parts: list[bytes]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.2)

    async with serving(serve) as handler:
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert (failed.status, failed.retriable) == (422, False)


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "rest",
    [
        b"no colon\r\nContent-Length: 0\r\n\r\n",
        b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"Content-Length: abc\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"Content-Length: 99999999999999999999999999\r\n\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(20_000)) + b"\r\n",
        b"X: " + b"x" * 2_000_000 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize(
    ("status", "retriable"),
    [(b"HTTP/1.1 422 Unprocessable\r\n", False), (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 503 \r\n", True),
     (b"HTTP/1.0 200\r\n", None)],
)  # fmt: skip
async def test_the_status_decides_whatever_is_wrong_with_the_headers(
    status: bytes, retriable: bool | None, rest: bytes
) -> None:
    """A success was handled again and again, and dead-lettered in the end."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(status[:11])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(status[11:] + rest)
        await writer.drain()

    async with serving(serve) as handler:
        failed = await handler.handle(RECORD)
    assert (failed and failed.retriable) == retriable
    assert (failed and failed.status) == {False: 422, True: 503, None: None}[retriable]
    assert len(asked) == 1


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 000 Nothing\r\n", b"HTTP/1.1 999 \r\n", b"HTTP/1.1 4220 \r\n", b"hello\r\n", b"HTTP/1.1 42"]
)
async def test_what_is_no_status_may_pass(answer: bytes) -> None:
    async with serving(saying(answer + b"Content-Length: 0\r\n\r\n")) as handler:
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.retriable


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize("linger", [0.0, 2.0])
async def test_an_answer_that_comes_before_the_body_is_sent_decides(linger: float) -> None:
    """1 MB for a server that answers 413 after the head, reads no more, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(linger)

    async with serving(serve) as handler:
        failed = await handler.handle(replace(RECORD, value=b"v" * 1_000_000))
    assert failed is not None
    assert (failed.status, failed.retriable) == (413, False)


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize("connections", [1, 4])
async def test_a_408_on_a_kept_connection_is_about_the_connection(connections: int) -> None:
    """Proxies say so as they close an idle connection, however late the next request is: it goes over a new one."""
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (OK, b"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\n\r\n"):
            await read_request(reader)
            asked.append(len(asked))
            writer.write(answer)
            await writer.drain()

    async with serving(serve) as handler:
        for _ in range(20):
            await asyncio.gather(*(handler.handle(RECORD) for _ in range(connections)))
            assert await asyncio.gather(*(handler.handle(RECORD) for _ in range(connections))) == [None] * connections


@pytest.mark.case("delivery-17")
async def test_a_408_on_a_new_connection_is_an_attempt() -> None:
    async with serving(saying(b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\n\r\n")) as handler:
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert (failed.status, failed.retriable) == (408, True)


@pytest.mark.slow
@pytest.mark.case("delivery-17")
async def test_both_times_a_record_is_sent_share_one_time_out() -> None:
    """The kept connection is closed half way through it; the new one never answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if asked:
            await asyncio.sleep(3600)
        asked.append(1)
        writer.write(OK)
        await read_request(reader)
        await asyncio.sleep(15.0)

    async def tick() -> None:
        """Note each tenth of a second in which the loop does not stand still."""
        while True:
            ticks.append(1)
            await asyncio.sleep(0.1)

    asked: list[int] = []
    ticks: list[int] = []
    async with serving(serve, patience=18.0) as handler:
        assert await handler.handle(RECORD) is None
        ticking = asyncio.create_task(tick())
        failed = await handler.handle(RECORD)
        ticking.cancel()
    assert failed is not None
    assert failed.timed_out
    assert len(ticks) < 300


@pytest.mark.case("delivery-17")
async def test_an_answer_that_nobody_asked_for_is_not_that_to_the_next_record() -> None:
    """A server that answers one request twice, the second time while the connection is kept: 422 is the next answer."""
    extra = asyncio.Event()
    answers = iter([OK, b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 0\r\n\r\n"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(next(answers))
            await writer.drain()
            await extra.wait()
            writer.write(OK)
            await writer.drain()

    async with serving(serve) as handler:
        assert await handler.handle(RECORD) is None
        extra.set()
        await asyncio.sleep(1)
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.status == 422


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize("status", [b"422 Unprocessable", b"200 OK"])
async def test_a_body_that_does_not_come_is_not_waited_for(status: bytes) -> None:
    """The answer is known with its status; the time-out of 120 s is not used up for its text."""
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 50\r\n\r\n"
    async with serving(saying(answer, then=3600.0), patience=120.0) as handler, asyncio.timeout(60):
        failed = await handler.handle(RECORD)
    assert (failed is None) == status.startswith(b"200")
    assert failed is None or not failed.retriable


@pytest.mark.case("delivery-17")
async def test_a_server_that_closes_idle_connections_costs_no_attempt() -> None:
    """1,000 keys: each is handled once at its first attempt, though no second request on a connection is answered."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async with serving(serve) as handler:
        waiting = iter(range(1000))
        failed: list[Failed] = []

        async def hand() -> None:
            for number in waiting:
                outcome = await handler.handle(
                    Record(topic="orders", partition=0, offset=number, key=b"%d" % number, value=b"v" * 2000)
                )
                failed.extend([outcome] if outcome else [])

        await asyncio.gather(*(hand() for _ in range(8)))
    assert failed == []
    assert len(seen) == 1000


@pytest.mark.case("delivery-17")
async def test_a_new_connection_that_is_closed_without_an_answer_is_an_attempt() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))

    async with serving(serve) as handler:
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.retriable
    assert len(asked) == 1


@pytest.mark.case("delivery-17")
async def test_a_kept_connection_that_is_closed_twice_is_one_attempt() -> None:
    """Sent once more on a new connection, and not again; an answer that has begun is not asked for again at all."""
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = not asked
        while True:
            await read_request(reader)
            asked.append(len(asked))
            if not first:
                return
            writer.write(OK)
            await writer.drain()
            first = False

    async with serving(serve) as handler:
        assert await handler.handle(RECORD) is None
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.retriable
    assert len(asked) == 3


@pytest.mark.case("delivery-17")
async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (OK, b"HTTP/1.1 200 OK\r\nContent-Le"):
            await read_request(reader)
            asked.append(len(asked))
            writer.write(answer)
            await writer.drain()

    async with serving(serve) as handler:
        assert await handler.handle(RECORD) is None
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert len(asked) == 2


@pytest.mark.case("delivery-17")
async def test_a_success_behind_an_empty_line_is_one_whatever_is_wrong_with_its_headers() -> None:
    """Servers end a body with a line feed too many, which then comes before the next answer."""
    async with serving(saying(b"\r\nHTTP/1.1 200 OK\r\nno colon\r\n\r\n")) as handler:
        assert await handler.handle(RECORD) is None


@pytest.mark.case("delivery-17")
async def test_how_long_to_wait_is_told_by_the_answer_and_not_by_what_comes_before_it() -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    async with serving(saying(answer)) as handler:
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert (failed.status, failed.after) == (503, None)
