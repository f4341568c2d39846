"""The push's connections: which serve again, which do not, and where they lead."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import aiohappyeyeballs
import pytest
from yarl import URL

from headrace import config
from headrace.handlers import connection, connections, http, resolver
from headrace.handlers.connection import Answer, Connection, Disconnected
from headrace.handlers.connections import Connections
from headrace.handlers.http import HttpHandler
from headrace.handlers.resolver import Address, Resolver
from headrace.record import Record
from tests.cluster import authority
from tests.ports import free_port
from tests.runtime.handlers.test_http_wire import CHUNKED, OK, read_request
from tests.waiting import PATIENCE

REQUEST = [b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"]
RECORD = Record(topic="orders", partition=0, offset=1, key=b"k", value=b'{"n": 1}')


class Server:
    """Answers each request with ``parts``, one at a time, on each connection for as long as the client likes."""

    def __init__(self, *parts: bytes, tls: ssl.SSLContext | None = None) -> None:
        self.parts = parts or (OK,)
        self.tls = tls
        self.opened = 0
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.begun.set()
        try:
            while True:
                await read_request(reader)
                for part in self.parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.ended.set()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers come as late as they will."""
    monkeypatch.setattr(connection, "PATIENCE", PATIENCE)


async def kept(pool: Connections) -> Connection:
    """Await a connection that serves again."""
    async with asyncio.timeout(PATIENCE):
        while (found := pool.kept()) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    return found


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[HttpHandler]:
    """A handler that posts to it."""
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=server.tls)
    port = listening.sockets[0].getsockname()[1]
    url = f"http{'s' if server.tls else ''}://127.0.0.1:{port}/"
    handler = HttpHandler(config.Http(url=url, timeout=PATIENCE), namespace="shop")
    try:
        yield handler
    finally:
        await handler.close()
        listening.close()
        await asyncio.gather(*server.tasks)


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"do", b"ne."],
        [b"HTTP/1.1 200 OK\r\n" + CHUNKED, b"5\r\ndone.\r\n", b"0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"],
        [b"HTTP/1.1 200 OK\nContent-Length: 2\n\n", b"ok"],
        [b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"],
    ],
    ids=["in parts", "in chunks", "an upgrade is offered", "after a 100", "line feeds alone", "HTTP/1.0"],
)
@pytest.mark.usefixtures("patient")
async def test_a_connection_serves_again_once_the_answer_has_come_whole(parts: list[bytes]) -> None:
    """Also where its body comes after the status has told all: for a server that answers at length each time, too."""
    server = Server(*parts)
    async with asking(server) as handler:
        pool = handler._connections
        assert await handler.handle(RECORD) is None
        first = await kept(pool)
        for _ in range(4):
            assert (await first.ask(REQUEST, time.monotonic() + PATIENCE)).status < 300
            assert await kept(pool) is first
    assert server.opened == 1


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"],
        [b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\nuntil the end"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone.", OK],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b"x" * 100_000],
        [b"HTTP/1.1 200 OK\r\n" + CHUNKED, b"zz\r\n"],
    ],
    ids=["closes", "HTTP/1.0", "no length", "two answers", "too long", "no chunk"],
)
async def test_a_connection_on_which_no_other_answer_can_follow_is_closed(parts: list[bytes]) -> None:
    server = Server(*parts)
    async with asking(server) as handler:
        for number in range(1, 4):
            assert await handler.handle(RECORD) is None
            await asyncio.wait_for(server.ended.wait(), PATIENCE)
            server.ended.clear()
            assert server.opened == number


@pytest.mark.usefixtures("patient")
async def test_a_text_that_comes_in_parts_is_told_whole() -> None:
    server = Server(b"HTTP/1.1 422 No\r\n" + CHUNKED, b"3\r\nout\r\n", b"9\r\n of stock\r\n", b"0\r\n\r\n")
    async with asking(server) as handler:
        failed = [await handler.handle(RECORD) for _ in range(3)]
    assert {one.message for one in failed if one} == {"HTTP 422: out of stock"}
    assert server.opened == 1


async def test_a_server_that_speaks_something_else_from_now_on_has_not_answered() -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: Upgrade\r\n\r\n\x00\x01"
    async with asking(Server(switching)) as handler:
        failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.retriable
    assert "no answer in HTTP" in failed.message


async def test_a_server_that_closes_whatever_is_opened_has_not_answered() -> None:
    """Before it is asked anything: as a proxy does that has nobody behind it."""
    listening = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    handler = HttpHandler(config.Http(url=url, timeout=PATIENCE), namespace="shop")
    failed = [await handler.handle(RECORD) for _ in range(50)]
    await handler.close()
    listening.close()
    assert all(one is not None and one.retriable and one.unanswered for one in failed)


async def test_a_server_that_answers_before_it_is_asked_is_not_believed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    pool = Connections(URL(url), excerpt=300)
    greeted = await pool.open(time.monotonic() + PATIENCE)
    while not greeted.is_closing:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)
    with pytest.raises(Disconnected):
        await greeted.ask(REQUEST, time.monotonic() + PATIENCE)
    await pool.close()
    listening.close()


async def test_who_stops_asking_leaves_no_answer_to_the_next() -> None:
    server = Server(b"")
    async with asking(server) as handler:
        waiting = asyncio.create_task(handler.handle(RECORD))
        await asyncio.wait_for(server.begun.wait(), PATIENCE)
        waiting.cancel()
        await asyncio.wait_for(server.ended.wait(), PATIENCE)
        server.parts = (OK,)
        assert await handler.handle(RECORD) is None
    assert server.opened == 2


async def test_who_stops_asking_once_the_answer_is_there_ends_nobody_elses_request() -> None:
    """The connection serves again, and may do so already, when the first one's task comes to its end."""
    server = Server()
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    loop, port = asyncio.get_running_loop(), listening.sockets[0].getsockname()[1]
    until = time.monotonic() + PATIENCE
    asking: list[asyncio.Task[Answer]] = []

    def rests(_: Connection) -> None:
        asking[0].cancel()

    _, connection = await loop.create_connection(lambda: Connection(300, rests, lambda _: None), "127.0.0.1", port)
    asking.append(asyncio.create_task(connection.ask(REQUEST, until)))
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    assert (await connection.ask(REQUEST, until)).status == 200
    connection.close()
    listening.close()
    await asyncio.gather(*server.tasks)


async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEPT", 0.1)
    server = Server()
    async with asking(server) as handler:
        assert await handler.handle(RECORD) is None
        await asyncio.wait_for(server.ended.wait(), PATIENCE)


async def test_a_name_with_two_addresses_is_reached_at_the_one_where_somebody_is() -> None:
    async with asking(Server()) as handler:
        resolver = handler._connections._resolver
        (there,) = await resolver.find()
        resolver._found = deque([there, (*there[:4], ("127.0.0.1", free_port()))])
        assert await handler.handle(RECORD) is None


async def test_a_server_is_known_by_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the pod's list of authorities has it; of another authority, nothing is sent to it."""
    for name in ("ours", "other"):
        authority.issue(tmp_path / name, [authority.Certificate(file="server", user="web", serves=("127.0.0.1",))])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "ours" / "server.crt", tmp_path / "ours" / "server.key")
    server = Server(tls=tls)

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ours" / "ca.crt"))
    async with asking(server) as handler:
        assert [await handler.handle(RECORD) for _ in range(3)] == [None] * 3
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other" / "ca.crt"))
    async with asking(server) as handler:
        failed = await handler.handle(RECORD)

    assert server.opened == 1
    assert failed is not None
    assert failed.retriable
    assert "CERTIFICATE_VERIFY_FAILED" in failed.message


async def test_the_zone_of_an_address_is_nothing_to_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither in its certificate nor in what it takes for its own name (RFC 6874, 4)."""
    names: list[object] = []

    async def made(*_: object, server_hostname: str, **__: object) -> None:
        names.append(server_hostname)
        raise ConnectionResetError

    async def started(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", started)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", made)
    pool = connections.Connections(URL("https://[fe80::1%25lo]/"), excerpt=300)
    monkeypatch.setattr(pool._resolver, "find", started)
    with pytest.raises(ConnectionResetError):
        await pool.open(time.monotonic() + PATIENCE)
    assert names == ["fe80::1"]
    assert b"\r\nhost: [fe80::1]:8443\r\n" in http._start(URL("https://[fe80::1%25lo]:8443/"))


class Names:
    """Two addresses, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def getaddrinfo(self, host: str, port: int, **_: object) -> list[Address]:
        self.asked += 1
        await asyncio.sleep(0)
        if host == "nowhere":
            raise socket.gaierror("Name or service not known")
        return [(2, 1, 6, "", (f"10.0.0.{number}", port)) for number in (1, 2)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    there = SimpleNamespace(get_running_loop=lambda: found, create_task=asyncio.create_task, shield=asyncio.shield)
    monkeypatch.setattr(resolver, "asyncio", there)
    return found


async def test_a_name_is_asked_for_once_and_each_address_comes_first_in_turn(names: Names) -> None:
    """A server that closes each connection would have it asked for with each record."""
    web = Resolver("web", 80)
    found = await asyncio.gather(*(web.find() for _ in range(10)))
    assert {one[0][4] for one in found} == {("10.0.0.1", 80), ("10.0.0.2", 80)}
    assert names.asked == 1

    web.forget()
    await web.find()
    assert names.asked == 2


async def test_a_name_that_nobody_knows_is_asked_for_again(names: Names) -> None:
    nowhere = Resolver("nowhere", 80)
    for _ in range(2):
        with pytest.raises(OSError, match="not known"):
            await nowhere.find()
    assert names.asked == 2
