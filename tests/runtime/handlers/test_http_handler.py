"""The push over HTTP, against a real server on loopback."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from urllib.parse import unquote

import pytest
from aiohttp import web

from headrace import config
from headrace.flow.policy import Failed
from headrace.handlers import Broken
from headrace.handlers.http import HttpHandler, event_headers, judge
from headrace.record import Position, Record
from headrace.worker.runners import Trace
from tests.waiting import PATIENCE

Answer = Callable[[web.Request], Awaitable[web.Response]]
RECORD = Record(
    topic="shop.orders-db.outbox.order",
    partition=3,
    offset=17,
    key=b"customer 7",
    value=b'{"amount": 5}',
    headers=(("id", b"m-1"), ("traceparent", b"00-aa-bb-01"), ("type", b"OrderPlaced")),
    timestamp=1_700_000_000_123,
    attempt=2,
)


class Target:
    """A server whose answer the test sets, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.peers: set[object] = set()
        self.answer: Answer = _ok

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        return await self.answer(request)


async def _ok(_: web.Request) -> web.Response:
    return web.Response(status=204)


def answers(status: int, **more: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="why", headers=more)

    return answer


@pytest.fixture
async def target() -> AsyncIterator[tuple[Target, str]]:
    target = Target()
    app = web.Application()
    app.router.add_post("/events", target.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield target, f"http://127.0.0.1:{runner.addresses[0][1]}/events"
    await runner.cleanup()


@pytest.fixture
async def handler(request: pytest.FixtureRequest, target: tuple[Target, str]) -> AsyncIterator[HttpHandler]:
    """A handler with the time-out that a test asks for, else one that is never over."""
    timeout = getattr(request, "param", PATIENCE)
    handler = HttpHandler(config.Http(url=target[1], timeout=timeout), namespace="shop")
    yield handler
    await handler.close()


async def test_a_record_arrives_as_a_cloud_event(target: tuple[Target, str], handler: HttpHandler) -> None:
    assert await handler.handle(RECORD) is None
    found, body = target[0].asked[0]
    assert body == b'{"amount": 5}'
    expected = {
        "ce-specversion": "1.0",
        "ce-id": "m-1",
        "ce-source": "/headrace/shop/shop.orders-db.outbox.order",
        "ce-type": "OrderPlaced",
        "ce-subject": "customer%207",
        "ce-time": "2023-11-14T22:13:20.123Z",
        "content-type": "application/json",
        "idempotency-key": "m-1",
        "traceparent": "00-aa-bb-01",
        "headrace-attempt": "2",
        "headrace-topic": "shop.orders-db.outbox.order",
        "headrace-partition": "3",
        "headrace-offset": "17",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "headrace-redriven" not in found


async def test_connections_are_kept(target: tuple[Target, str], handler: HttpHandler) -> None:
    for _ in range(5):
        assert await handler.handle(RECORD) is None
    assert len(target[0].peers) == 1


async def test_a_request_leaves_no_trace_in_the_task_it_ran_in(handler: HttpHandler) -> None:
    """Else each record would cost a task of its own."""

    async def handled() -> bool:
        trace = Trace()
        await handler.handle(RECORD)
        return trace.is_left()

    assert not await asyncio.create_task(handled())


@pytest.mark.parametrize(
    ("status", "retriable"),
    [
        (404, True),
        (408, True),
        (409, True),
        (429, True),
        (500, True),
        (503, True),
        (400, False),
        (422, False),
        (302, False),
    ],
)
async def test_statuses(target: tuple[Target, str], handler: HttpHandler, status: int, retriable: bool) -> None:
    target[0].answer = answers(status, Location="/elsewhere")
    failed = await handler.handle(RECORD)
    assert failed is not None
    assert (failed.status, failed.retriable, failed.message) == (status, retriable, f"HTTP {status}: why")
    assert len(target[0].asked) == 1


async def test_retry_after_is_honoured(target: tuple[Target, str], handler: HttpHandler) -> None:
    target[0].answer = answers(503, **{"Retry-After": "7"})
    failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.after == 7.0


def waits(retry_after: str | None, *, now: float) -> float | None:
    failed = judge(503, retry_after, "", now=now)
    assert failed is not None
    return failed.after


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tuesday, 14-Nov-23 22:13:30 GMT", 10.0),
        ("Tue Nov 14 22:13:30 2023", 10.0),
        ("Mon Nov  6 08:49:37 2023", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("9999999999", 9_999_999_999.0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(text: str, after: float) -> None:
    assert waits(text, now=1_700_000_000.0) == after


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "text",
    [
        *("\u00b2", "\u0663", "Fri, 99 Foo 2024", "-1", "", "soon", "1.5", "nan", "inf", "1_0", "9" * 5000, "\ud800"),
        *("Tue, 14 Nov 2023 22:13:30 +99999999", "Tue, 14 Nov 2023 25:13:30 GMT", "Tue, 14 Nov 0000 22:13:30 GMT"),
        *("Tue, 31 Feb 2023 22:13:30 GMT", "Tue, 14 Nov 99999 22:13:30 GMT", ", ", "Tue"),
    ],
)
def test_retry_after_that_makes_no_sense_is_none_and_not_0(text: str) -> None:
    assert waits(text, now=1_700_000_000.0) is None


def test_no_retry_after_is_none_and_not_0() -> None:
    assert waits(None, now=0.0) is None


@pytest.mark.parametrize("handler", [0.5], indirect=True)
async def test_no_answer_in_time_is_retried(target: tuple[Target, str], handler: HttpHandler) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    target[0].answer = never
    failed = await handler.handle(RECORD)
    assert failed is not None
    assert failed.timed_out
    assert failed.retriable


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://[::1",
        "http://web:port/",
        "http://web:99999/",
        "http://a..b/",
        f"http://{'a' * 64}/",
        "http:///x",
        "http://exa mple/",
        "http://exa\x00mple/",
        "http://\u2028/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://1.2.3/",
        "http://web.7/",
        "http://[]@/",
        "http://a|b/",
        "http://<web>/",
        "http://*.shop/",
        "http://a%00b/",
        "http://web:0/",
        "http://\u0663@web/",
    ],
)
async def test_an_address_that_nobody_can_be_at_is_said_at_the_start(url: str) -> None:
    with pytest.raises(Broken, match=r"spec\.handler\.http\.url"):
        HttpHandler(config.Http(url=url), namespace="shop")


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "url",
    [
        *("http://web", "https://billing.shop.svc.cluster.local.:8443/x?y=1#z", "http://a_b-c/", "http://10.0.0.7:80"),
        *("http://[::1]:9/", "http://[fe80::1%25eth0]/", "http://größe.example/", "http://7up/", "http://web7."),
    ],
)
async def test_an_address_that_somebody_may_be_at_is_taken(url: str) -> None:
    await HttpHandler(config.Http(url=url), namespace="shop").close()


async def test_a_tombstone_has_no_content_type(target: tuple[Target, str], handler: HttpHandler) -> None:
    assert await handler.handle(replace(RECORD, value=None)) is None
    found, body = target[0].asked[0]
    assert ("content-type" in found, found["content-length"], body) == (False, "0", b"")


@pytest.mark.case("delivery-17")
@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, key="é".encode() * 150_000),
        replace(RECORD, key=b"k" * 3000),
        replace(RECORD, headers=(("id", "é".encode() * 5000), ("type", b"t" * 9000), ("baggage", b"b" * 9000))),
        replace(RECORD, headers=(("correlation-id", b"c" * 9000), ("content-type", b"x" * 9000))),
    ],
)
async def test_nothing_that_a_record_carries_makes_a_header_that_servers_refuse(
    target: tuple[Target, str], handler: HttpHandler, record: Record
) -> None:
    """A server of aiohttp refuses a header of more than 8,190 bytes; a key that is too long is left out."""
    assert await handler.handle(record) is None
    found, _ = target[0].asked[0]
    assert len(found.get("ce-subject", "")) <= 2048
    assert found["ce-type"]
    assert sum(len(name) + len(value) for name, value in found.items()) < 8000


async def test_a_refused_connection_is_retried() -> None:
    handler = HttpHandler(config.Http(url="http://127.0.0.1:1/"), namespace="shop")
    failed = await handler.handle(RECORD)
    await handler.close()
    assert isinstance(failed, Failed)
    assert failed.retriable
    assert "127.0.0.1:1" in failed.message


@pytest.mark.case("delivery-12")
def test_ids_stay_different_over_http_also_after_decoding() -> None:
    """128 of random bytes, long ones, and text: what a CloudEvents library decodes is the record's message id."""
    given = [os.urandom(8) for _ in range(128)] + [b"i" * 300, b"j" * 5000, "größe 7%".encode()]
    records = [replace(RECORD, headers=(("id", value),)) for value in given]
    sent = [event_headers(record, "shop") for record in records]

    assert [unquote(one["ce-id"]) for one in sent] == [record.message_id for record in records]
    assert len({one["idempotency-key"] for one in sent}) == len(given)


def test_a_redriven_tombstone_names_its_source() -> None:
    record = Record(
        topic="retry.shop.billing",
        partition=1,
        offset=2,
        key=b"\xff\n",
        value=None,
        headers=(("headrace.redrive-count", b"3"), ("traceparent", b"a\r\nb: c")),
        origin=Position("orders", 1, 99),
    )
    found = event_headers(record, "shop")
    assert (found["ce-id"], found["headrace-redriven"], found["headrace-topic"]) == ("orders-1-99", "3", "orders")
    assert found["ce-subject"] == "%EF%BF%BD%0A"
    assert not {"content-type", "traceparent", "ce-time"} & found.keys()


@pytest.mark.parametrize(
    ("timestamp", "told"),
    [
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, None),
        (-62_135_596_800_001, None),
    ],
)
def test_a_time_is_told_to_the_millisecond_as_far_as_calendars_go(timestamp: int, told: str | None) -> None:
    record = Record(topic="orders", partition=0, offset=1, key=None, value=b"{}", timestamp=timestamp)

    assert event_headers(record, "shop").get("ce-time") == told


def test_a_time_that_no_calendar_has_is_left_out() -> None:
    record = Record(topic="orders", partition=0, offset=1, key=None, value=b"{}", timestamp=1_700_000_000_123_000)

    assert "ce-time" not in event_headers(record, "shop")


@pytest.mark.case("clusters-17")
@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("http://shop:s3cret@127.0.0.1:1/events?token=s3cret", None),
        ("http://shop:s3cret@[::1]:1/events#s3cret", None),
        ("http://shop:s3cret@127.0.0.1:{port}/events?token=s3cret", b"HTTP/1.1 abc\r\n\r\n"),
        ("http://shop:s3cret@127.0.0.1:{port}/events?token=s3cret", b""),
        ("http://shop:s3cret@127.0.0.1:{port}/events?token=s3cret", b"what is /events?token=s3cret\r\n"),
        ("http://127.0.0.1:{port}/events?token=s3cret", b"x" * 54 + b" s3cret"),
    ],
)
async def test_a_failure_tells_the_address_without_login_and_query(address: str, answer: bytes | None) -> None:
    """Whether nobody answers, in no time, or with something that is not HTTP."""

    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer or b"")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = address.format(port=server.sockets[0].getsockname()[1])
    handler = HttpHandler(config.Http(url=url, timeout=0.5), namespace="shop")
    failed = await handler.handle(RECORD)
    await handler.close()
    server.close()
    await asyncio.gather(*(task for task in serving if task))

    assert failed is not None
    assert "/events" in failed.message
    assert "s3cr" not in failed.message


@pytest.mark.case("clusters-17")
@pytest.mark.parametrize(
    "url", ["http://shop:s3cret@[nowhere]:1/?s3cret", "http://shop:s3cret@web:1x", "ftp://a:s3cret@b"]
)
def test_an_address_that_makes_no_sense_is_told_without_its_login(url: str) -> None:
    with pytest.raises(Broken) as refused:
        HttpHandler(config.Http(url=url, timeout=0.5), namespace="shop")

    assert "s3cret" not in str(refused.value)
