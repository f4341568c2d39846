"""What one Kafka Connect may cost the others and the process: it hangs, it never ends, it answers nonsense."""

from __future__ import annotations

import asyncio
import gzip
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from headrace_operator.clients import errors
from headrace_operator.clients.connect import DEADLINE, Connect
from headrace_operator.clients.connect_bounds import AT_ONCE, LONGEST, LONGEST_LIST, REST
from headrace_operator.reconcile.remote import opened
from tests.fakes.connect import fake_connect

MANY = 100
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Read = Callable[[Connect, str], Awaitable[Any]]
READS: tuple[Read, ...] = (
    lambda connect, url: connect.workers(url),
    lambda connect, url: connect.connector(url, "shop.orders-db"),
    lambda connect, url: connect.validate(url, {"connector.class": "x"}),
)


class Socket:
    """A server that reads a request, sends ``first`` and then ``again`` for ever, or hangs without it."""

    def __init__(self, first: bytes = b"", again: bytes = b"") -> None:
        self.first, self.again = first, again
        self.url, self.port = "", 0
        self.asked = self.sent = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it is closed."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(self.first)
            while self.again:
                writer.write(self.again)
                await writer.drain()
                self.sent += len(self.again)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(server: Socket) -> AsyncIterator[Socket]:
    """Serve on a port of loopback."""
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{server.port}"
    try:
        yield server
    finally:
        listener.close()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Give the client as the operator opens it."""
    async with AsyncExitStack() as stack:
        kube: Any = None
        yield (await opened(kube, stack)).connect


@pytest.mark.case("clusters-3")
@pytest.mark.slow
async def test_a_hundred_who_ask_a_connect_that_hangs_delay_no_other(connect: Connect) -> None:
    """Another Connect answers meanwhile; the one that hangs is asked a few times, and all its askers end together."""
    async with listening(Socket()) as hanging, fake_connect() as well:
        begun = time.monotonic()
        asking = [asyncio.create_task(connect.connector(hanging.url, f"shop.c{number}")) for number in range(MANY)]
        while hanging.asked < AT_ONCE:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        for _ in range(20):
            assert (await connect.workers(well.url)).version == "4.3.1"
        assert not any(one.done() for one in asking)
        ended = await asyncio.gather(*asking, return_exceptions=True)

    assert {str(one) for one in ended} == {f"{hanging.url}: Kafka Connect did not answer within {DEADLINE:.0f} s."}
    assert all(isinstance(one, errors.Unreachable) for one in ended)
    assert hanging.asked == AT_ONCE
    assert time.monotonic() - begun < 4 * DEADLINE


@pytest.mark.case("clusters-3")
@pytest.mark.slow
async def test_a_connect_that_was_silent_is_tried_by_one_and_heard_again(connect: Connect) -> None:
    """Once it answers, all do; a write that hangs says nothing of the reads."""
    async with fake_connect() as fake:
        fake.hanging = True
        for _ in range(2):
            with pytest.raises(errors.Unreachable, match="did not answer within 5 s"):
                await connect.workers(fake.url)
        assert len(fake.requests) == 1
        fake.hanging = False
        await asyncio.sleep(REST)
        assert (await connect.workers(fake.url)).version == "4.3.1"


@pytest.mark.case("clusters-3")
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("first", "again"),
    [
        (OK + b"\r\n", b" " * 65536),
        (OK + b"Content-Length: 99999999999\r\n\r\n", b"[" * 65536),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b" " * 2**28), b""),
        (b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
    ],
    ids=["endless", "long", "packed", "failure", "header"],
)
async def test_an_answer_without_end_costs_little_and_is_no_answer(
    connect: Connect, read: Read, first: bytes, again: bytes
) -> None:
    """What is read is bounded, as is what the process takes for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listening(Socket(first, again)) as hostile:
        with pytest.raises(errors.Unreachable, match=r"is longer than 4 MiB|is packed|did not answer"):
            await read(connect, hostile.url)

    assert hostile.sent < 8 * LONGEST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * LONGEST / 1024


@pytest.mark.case("clusters-3")
async def test_a_page_of_metrics_without_end_tells_no_lag(connect: Connect) -> None:
    async with listening(Socket(OK + b"\r\n", b"headrace_debezium_source_lag_seconds 1\n" * 1000)) as hostile:
        connect._metrics_port = hostile.port

        assert await connect.lag("127.0.0.1", "shop.orders-db") is None
    assert hostile.sent < 2 * LONGEST_LIST


@pytest.mark.case("clusters-3")
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "said", ["[]", "{}", "5", '"x"', "null", '{"version": 1}', '[["connector"]]', "[" * 100_000, '{"configs": [null]}']
)
async def test_an_answer_of_another_shape_is_no_answer(connect: Connect, read: Read, said: str) -> None:
    """Whatever answers there is not Kafka Connect: that is a condition, and no bug."""
    whole = OK + f"Content-Length: {len(said)}\r\nConnection: close\r\n\r\n{said}".encode()
    async with listening(Socket(whole)) as other:
        with pytest.raises(errors.Unreachable, match="Check the address"):
            await read(connect, other.url)
