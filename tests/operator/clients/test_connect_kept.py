"""What Kafka Connect is asked once for all its Connectors, and what each is asked for alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace_operator.clients import errors
from headrace_operator.clients.connect import Connect
from headrace_operator.clients.kept import Kept
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.value import Absent
from tests.fakes.connect import Connector, FakeConnect, Task, fake_connect
from tests.operator.loops import answering
from tests.waiting import PATIENCE

MANY = 30
NAMES = [f"shop.db{number}" for number in range(MANY)]
TICK = 60.0
"""Seconds for which answers are kept here: longer than a test, so that nothing hangs on how quick it is."""


@pytest.fixture
async def fake() -> AsyncIterator[FakeConnect]:
    """Serve a worker with connectors that run."""
    async with fake_connect() as made:
        for name in NAMES:
            made.connectors[name] = Connector(
                config={"name": name}, tasks=[Task(state="RUNNING")], untold=0, offsets=[{"lsn": 1}], topics=["a"]
            )
        yield made


@pytest.fixture
async def connect(fake: FakeConnect) -> AsyncIterator[Connect]:
    async with aiohttp.ClientSession() as session:
        yield Connect(session, PATIENCE, metrics_port=int(fake.url.rpartition(":")[2]), kept=TICK)


def _runs(seen: ConnectorSeen) -> bool:
    return {seen.state, *(task.state for task in seen.tasks)} == {"RUNNING"}


def _asked(fake: FakeConnect, end: str) -> int:
    return sum(one.startswith("GET ") and one.endswith(end) for one in fake.requests)


async def _look(connect: Connect, url: str) -> list[ConnectorSeen | Absent]:
    """Look at all, half of them at once and half one after the other."""
    at_once = await asyncio.gather(*(connect.looked_at(url, name, _runs) for name in NAMES[::2]))
    return [*at_once, *[await connect.looked_at(url, name, _runs) for name in NAMES[1::2]]]


@pytest.mark.case("clusters-4")
async def test_one_list_serves_all_connectors_of_a_connect(fake: FakeConnect, connect: Connect) -> None:
    seen = await _look(connect, fake.url)

    assert seen == [await connect.connector(fake.url, name) for name in NAMES[::2] + NAMES[1::2]]
    assert _asked(fake, "/connectors") == 1
    assert _asked(fake, "/config") == _asked(fake, "/status") == MANY  # those that were asked live, to compare


@pytest.mark.case("clusters-4")
async def test_one_page_of_a_worker_serves_all_its_connectors(fake: FakeConnect, connect: Connect) -> None:
    """What is odd on it, as a number that is none, is at no other's cost."""
    line = 'headrace_debezium_source_lag_seconds{{connector="db{0}",resource_namespace="shop",}} {1}\n'
    fake.metrics = "".join(line.format(number, "odd" if number == 3 else f"{number}.5") for number in range(MANY))
    lags = [await connect.lag("127.0.0.1", name) for name in NAMES]

    assert lags == [None if number == 3 else number + 0.5 for number in range(MANY)]
    assert await connect.lag("127.0.0.1", "shop.nobody") is None
    assert _asked(fake, "/metrics") == 1


@pytest.mark.case("clusters-4")
@pytest.mark.parametrize("verb", ["put", "pause", "restart", "remove"])
async def test_what_was_read_before_a_write_serves_nobody_after_it(
    fake: FakeConnect, connect: Connect, verb: str
) -> None:
    """Not even while it is answered: what it tells may be from before."""
    await _look(connect, fake.url)
    fake.connectors[NAMES[1]].offsets = [{"lsn": 2}]
    if verb == "put":
        with pytest.raises(errors.HeadraceError):
            await connect.put(fake.url, NAMES[0], {})
    elif verb == "pause":
        await connect.set_state(fake.url, NAMES[0], "pause")
    elif verb == "restart":
        await connect.restart(fake.url, NAMES[0], only_failed=True)
    else:
        await connect.remove(fake.url, NAMES[0])
    seen = await connect.looked_at(fake.url, NAMES[0], _runs)

    assert seen == await connect.connector(fake.url, NAMES[0])
    assert _asked(fake, "/connectors") == 2


@pytest.mark.case("clusters-4")
async def test_what_does_not_suffice_is_asked_live(fake: FakeConnect, connect: Connect) -> None:
    """A list that is some seconds old says that a task failed; it was restarted since, and another was made."""
    fake.fail(NAMES[0], "Oh")
    late = fake.connectors.pop(NAMES[1])
    assert isinstance(await connect.looked_at(fake.url, NAMES[2], _runs), ConnectorSeen)
    fake.connectors[NAMES[0]].tasks = [Task(state="RUNNING")]
    fake.connectors[NAMES[1]] = late
    seen = [await connect.looked_at(fake.url, name, _runs) for name in NAMES[:2]]

    assert [isinstance(one, ConnectorSeen) and one.tasks[0].state for one in seen] == ["RUNNING", "RUNNING"]
    assert await connect.looked_at(fake.url, "shop.nobody", _runs) == Absent()
    assert _asked(fake, "/connectors") == 1


ODD: tuple[Any, ...] = (
    {"info": {"config": {}}, "status": {"connector": {"state": 5}}},
    {"info": {"config": "text"}, "status": {"connector": {"state": "RUNNING"}}},
    {"info": {"config": {}}, "status": {"connector": {"state": "RUNNING"}, "tasks": [{"id": "zero"}]}},
    {"info": None, "status": None},
    [],
    None,
)


@pytest.mark.case("clusters-6")
@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_a_connector_that_is_odd_blinds_no_other(connect: Connect, odd: Any) -> None:
    """Neither those that are looked at nor the ConnectCluster, which counts them all."""
    well = {"info": {"config": {"a": "b"}}, "status": {"connector": {"state": "RUNNING"}, "tasks": []}}
    whole = {
        "/": {"version": "4.3.1", "kafka_cluster_id": "k"},
        "/connector-plugins": [],
        "/connectors": {"odd": odd, "well": well},
        "/connectors/odd/config": {},
    }

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(whole[request.path]) if request.path in whole else web.Response(status=404)

    async with answering(answer) as port:
        url = f"http://127.0.0.1:{port}"
        seen = await connect.looked_at(url, "well", _runs)
        other = await connect.looked_at(url, "odd", _runs)
        workers = await connect.workers(url)

    assert [one.state for one in (seen, other) if isinstance(one, ConnectorSeen)] == ["RUNNING", "UNASSIGNED"]
    assert set(workers.connectors) == {"well"}


@pytest.mark.case("clusters-6")
@pytest.mark.parametrize("said", ["[" + "0," * 500_001 + "0]", "[]", "no JSON"], ids=["long", "odd", "text"])
async def test_a_list_that_fails_is_asked_apart(fake: FakeConnect, connect: Connect, said: str) -> None:
    """Once for all, and then each Connector alone."""
    async with aiohttp.ClientSession() as session:
        lists = []

        async def answer(request: web.Request) -> web.Response:
            if request.path == "/connectors":
                lists.append(request.path)
                return web.Response(text=said)
            async with session.get(fake.url + request.path) as response:
                return web.Response(status=response.status, body=await response.read())

        async with answering(answer) as port:
            seen = await _look(connect, f"http://127.0.0.1:{port}")

    assert [one.name for one in seen if isinstance(one, ConnectorSeen)] == NAMES[::2] + NAMES[1::2]
    assert len(lists) == 1


@pytest.mark.looptime
async def test_an_answer_is_kept_from_when_it_was_asked_and_so_is_a_failure() -> None:
    reads: list[str] = []

    async def read(key: str) -> int:
        reads.append(key)
        number = len(reads)
        await asyncio.sleep(3)
        if key == "bad":
            raise errors.Busy("Later.")
        return number

    kept = Kept(read, 5.0, lambda: asyncio.get_running_loop().time())
    assert [*await asyncio.gather(kept.ask("a"), kept.ask("a"), kept.ask("b"))] == [1, 1, 2]
    for _ in range(2):
        with pytest.raises(errors.Busy):
            await kept.ask("bad")
    assert reads == ["a", "b", "bad"]
    assert await kept.ask("a") == 4


@pytest.mark.looptime
async def test_who_asks_after_a_forget_gets_nothing_that_was_asked_before() -> None:
    reads: list[int] = []

    async def read(_: str) -> int:
        number = len(reads)
        reads.append(number)
        await asyncio.sleep(1)
        return number

    kept = Kept(read, 60.0, lambda: asyncio.get_running_loop().time())
    first = asyncio.create_task(kept.ask("a"))
    await asyncio.sleep(0.5)
    kept.forget("a")

    assert await kept.ask("a") == 1
    await first
    assert await kept.ask("a") == 1


@pytest.mark.case("clusters-4")
async def test_figures_of_a_connector_serve_for_a_while_once_there_are_any(fake: FakeConnect, connect: Connect) -> None:
    """Each is a request of its own; what is not there yet is asked for at each look, and all of it after a write."""
    fake.connectors[NAMES[0]].offsets, fake.connectors[NAMES[0]].topics = [], []
    for _ in range(3):
        await connect.looked_at(fake.url, NAMES[0], _runs)
    assert (_asked(fake, "/offsets"), _asked(fake, "/topics")) == (3, 3)
    fake.connectors[NAMES[0]].offsets, fake.connectors[NAMES[0]].topics = [{"lsn": 1}], ["a"]
    seen = [await connect.looked_at(fake.url, NAMES[0], _runs) for _ in range(3)]
    assert [one.offsets for one in seen if isinstance(one, ConnectorSeen)] == [({"lsn": 1},)] * 3
    assert (_asked(fake, "/offsets"), _asked(fake, "/topics")) == (4, 4)
    fake.connectors[NAMES[0]].offsets = [{"lsn": 2}]
    await connect.restart(fake.url, NAMES[0], only_failed=True)
    later = await connect.looked_at(fake.url, NAMES[0], _runs)

    assert isinstance(later, ConnectorSeen)
    assert later.offsets == ({"lsn": 2},)
