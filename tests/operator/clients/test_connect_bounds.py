"""What one Kafka Connect may cost the others and the process: it hangs, it never ends, it answers nonsense."""

from __future__ import annotations

import asyncio
import resource
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace_operator.clients import errors, fence
from headrace_operator.clients.connect import DEADLINE, Connect
from headrace_operator.clients.connect_bounds import AT_ONCE, IDLE, LONGEST, LONGEST_LIST, REST, Hosts
from headrace_operator.observed.connect import Validation, WorkersSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.remote import opened
from tests.fakes.connect import FakeConnect, fake_connect
from tests.operator.asking import answered
from tests.operator.clients.sockets import Socket, listening
from tests.operator.loops import answering
from tests.waiting import PATIENCE

MANY = 100
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PACKED = b"(much, packed)"
Read = Callable[[Connect, str], Awaitable[Any]]
READS: tuple[Read, ...] = (
    lambda connect, url: connect.workers(url),
    lambda connect, url: connect.connector(url, "shop.orders-db"),
    lambda connect, url: connect.validate(url, {"connector.class": "x"}),
)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Give the client as the operator opens it, patient with what answers late."""
    async with AsyncExitStack() as stack:
        made = await hasty(stack)
        made._deadline = PATIENCE
        yield made


async def hasty(stack: AsyncExitStack) -> Connect:
    """Return the client as the operator opens it."""
    kube: Any = None
    return (await opened(kube, kube, stack)).connect


@pytest.mark.case("clusters-3")
@pytest.mark.slow
async def test_a_hundred_who_ask_a_connect_that_hangs_delay_no_other() -> None:
    """Another Connect answers meanwhile; the one that hangs is asked a few times, and all its askers end together."""
    async with asyncio.timeout(PATIENCE):
        while await _answers_meanwhile() < 2:
            pass  # the machine stood still while they waited


async def _answers_meanwhile() -> int:
    """Have a hundred ask a Connect that hangs, and return how often another answers until they end."""
    answers = 0
    async with AsyncExitStack() as stack, listening(Socket()) as hanging, fake_connect() as well:
        connect = await hasty(stack)
        asking = [asyncio.create_task(connect.connector(hanging.url, f"shop.c{number}")) for number in range(MANY)]
        while len(hanging.asked) < AT_ONCE and not any(one.done() for one in asking):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        while answers < 20 and not any(one.done() for one in asking):
            answers += isinstance(await ask(connect.workers(well.url)), WorkersSeen)
        ended = await asyncio.gather(*asking, return_exceptions=True)

    assert {str(one) for one in ended} == {f"{hanging.url}: Kafka Connect did not answer within {DEADLINE:.0f} s."}
    assert all(isinstance(one, errors.Unreachable) for one in ended)
    assert len(hanging.asked) == AT_ONCE or not answers
    return answers


@pytest.mark.case("clusters-3")
@pytest.mark.slow
async def test_a_connect_that_was_silent_is_tried_by_one_and_heard_again() -> None:
    """Once it answers, all do; a write that hangs says nothing of the reads."""
    async with AsyncExitStack() as stack, fake_connect() as fake, asyncio.timeout(PATIENCE):
        connect = await hasty(stack)
        fake.hanging = True
        while await _requests_of_two(connect, fake) > 1:
            pass  # the second came too late to share the failure of the first
        fake.hanging = False
        found = await answered(lambda: connect.workers(fake.url))
        assert found.version == "4.3.1"


async def _requests_of_two(connect: Connect, fake: FakeConnect) -> int:
    """Ask a Connect that hangs twice in vain, and return how many requests came there."""
    before = len(fake.requests)
    for _ in range(2):
        with pytest.raises(errors.Unreachable, match="did not answer within 5 s"):
            await connect.workers(fake.url)
    return len(fake.requests) - before


@pytest.mark.case("clusters-3")
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("first", "again"),
    [
        (OK + b"\r\n", b" " * 65536),
        (OK + b"Content-Length: 99999999999\r\n\r\n", b"[" * 65536),
        (OK + b"Content-Encoding: gzip\r\n\r\n", PACKED),
        (b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536),
    ],
    ids=["endless", "long", "packed", "failure", "header"],
)
async def test_an_answer_without_end_costs_little_and_is_no_answer(
    connect: Connect, read: Read, first: bytes, again: bytes
) -> None:
    """What is read is bounded, as is what the process takes for it."""
    again = _packed(128) if again == PACKED else again
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listening(Socket(first, again)) as hostile:
        with pytest.raises(errors.Unreachable, match=r"is longer than 4 MiB|is packed|did not answer"):
            await read(connect, hostile.url)

    assert hostile.sent < 8 * LONGEST
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * LONGEST / 1024


def _packed(mebibytes: int) -> bytes:
    """Return blanks, packed piece by piece: the most memory that the process took so far is to say nothing of them."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(mebibytes)) + packer.flush()


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


@pytest.mark.case("clusters-3")
@pytest.mark.slow
async def test_a_connect_that_hung_and_refuses_now_is_said_to_refuse() -> None:
    """All are told what is, and not what was: two sentences in turn would be a status written at each pass."""
    async with AsyncExitStack() as stack:
        connect = await hasty(stack)
        async with listening(Socket()) as hanging:
            with pytest.raises(errors.Unreachable, match="did not answer within 5 s"):
                await connect.workers(hanging.url)
        await asyncio.sleep(REST)

        told = [await ask(connect.workers(hanging.url)) for _ in range(3)]

    assert all(isinstance(one, Unknown) and "Cannot connect" in one.reason for one in told)


ODD: dict[str, Any] = {
    "config": {"headrace.resource.uid": "a"},
    "status": {"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "a:1"}]},
    "offsets": {"offsets": [{"lsn": 1}]},
    "topics": {"shop.orders-db": {"topics": ["a"]}},
}


@pytest.mark.case("clusters-3")
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"status": {"connector": {"state": {"a": 1}}}},
        {"status": {"connector": {"state": "RUNNING"}, "tasks": [{"id": "zero", "state": "RUNNING"}]}},
        {"status": {"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING", "worker_id": 9}]}},
        {"status": {"connector": {"state": "FAILED", "trace": ["a"]}}},
        {"offsets": {"offsets": ["a"]}},
        {"topics": {"shop.orders-db": {"topics": [1]}}},
    ],
)
async def test_what_a_status_could_not_hold_is_no_answer(connect: Connect, odd: dict[str, Any]) -> None:
    """The API server refused such a status, so that the one before it stayed: Ready, for ever."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({**ODD, **odd}[request.path.rsplit("/", 1)[1]])

    async with answering(answer) as port:
        seen = await ask(connect.connector(f"http://127.0.0.1:{port}", "shop.orders-db"))

    assert isinstance(seen, Unknown) == bool(odd)
    assert not isinstance(seen, Unknown) or "not one of Kafka Connect" in seen.reason


async def test_a_running_configuration_without_a_class_is_refused_by_connect(connect: Connect) -> None:
    async with fake_connect() as fake:
        answer = await ask(connect.validate(fake.url, ODD["config"]))

    assert isinstance(answer, Unknown | Validation)


@pytest.mark.parametrize("said", ["NaN", "+Inf", "-1.0", "1.0E300"])
async def test_a_lag_that_is_no_length_of_time_is_not_told(connect: Connect, said: str) -> None:
    """A lag of NaN was a bug in each pass, and the status before it stayed."""
    line = f'headrace_debezium_source_lag_seconds{{resource_namespace="shop",connector="orders-db",}} {said}\n'

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=line)

    async with answering(page) as connect._metrics_port:
        assert await connect.lag("127.0.0.1", "shop.orders-db") is None


@pytest.mark.case("clusters-1")
async def test_what_waited_until_the_lease_was_over_is_not_sent() -> None:
    """A write waits behind reads that hang, and may not be sent once it has a place; reads and questions may."""
    leads = True
    async with listening(Socket()) as hanging, fake_connect() as well, aiohttp.ClientSession() as session:
        connect = Connect(session, deadline=PATIENCE)
        asking = [asyncio.create_task(connect.connector(hanging.url, f"shop.c{number}")) for number in range(AT_ONCE)]
        while len(hanging.asked) < AT_ONCE:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        with fence.fenced(lambda _: leads):
            writing = asyncio.create_task(connect.set_state(hanging.url, "shop.c0", "pause"))
            leads = False
            with pytest.raises(errors.Retryable, match="not sent, as another operator"):
                await connect.set_state(well.url, "shop.c0", "pause")
            assert (await connect.workers(well.url)).version == "4.3.1"
        assert well.written() == []
        asking.pop().cancel()
        with pytest.raises(errors.Retryable, match="not sent, as another operator"):
            await writing
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    assert len(hanging.asked) == AT_ONCE


@pytest.mark.case("clusters-3")
def test_addresses_that_nobody_asks_any_more_are_forgotten() -> None:
    """ConnectClusters come and go; one that is asked keeps its bounds, and how it is entered."""
    now = [0.0]
    hosts = Hosts(lambda: now[0])
    kept = hosts.at("http://kept:8083")
    for number in range(1000):
        now[0] += IDLE / 10
        hosts.at(f"http://c{number}:8083")
        assert hosts.at("http://kept:8083") is kept

    assert len(hosts) <= 12
