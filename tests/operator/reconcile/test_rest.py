"""What is settled writes nothing on a real API server, however much of what is looked at moves.

Time is the test's own: passes are as far apart as it says, and nothing is waited for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from headrace_operator.clients import coalescing, kafka_connections
from headrace_operator.clients.api import Api, connection
from headrace_operator.clients.kafka_tokens import Tokens
from headrace_operator.observed.kafka import Committed, Partition, PodLoad
from headrace_operator.reconcile import loop as loop_module
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.fakes import kafka as fake
from tests.fakes.connect import FakeConnect, fake_connect
from tests.fakes.kafka import OWN, FakeKafka
from tests.operator import crowd, scraped
from tests.operator.loops import look, looping
from tests.operator.operator_process import read
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.case("clusters-1")]

NAMES = {"KafkaConnection": "kafka", "ConnectCluster": "c0", "Connector": "db0", "Consumer": "use0"}
ALL = "kafkaconnections,connectclusters,connectors,consumers,deployments,configmaps,events,roles,services"
BEGUN = datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """What time it is for the loop."""

    now: datetime = BEGUN

    def seconds(self) -> float:
        """Return how many went by since some time ago."""
        return self.now.timestamp()

    def pass_by(self, seconds: float) -> None:
        """Let time go on."""
        self.now += timedelta(seconds=seconds)


class Moving(FakeKafka):
    """Records come and are handled all the time: each look finds other ends, another few records, another load.

    That is so until all that is left is ``waiting``.
    """

    looks = 0
    waiting: int | None = None

    def move(self) -> None:
        """Go on."""
        self.looks += self.waiting is None

    def _end(self, at: Partition) -> int:
        return super()._end(at) if OWN.fullmatch(at[0]) else 5 * self.looks + self.looks * at[1] % 3

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        """Say that a few are on their way, at times none."""
        return {at: self._handled(at) for at in partitions}

    def _handled(self, at: Partition) -> Committed:
        left = (self.looks + at[1]) % 3 if self.looks % 4 else 0
        if self.waiting is not None:
            left = 0 if at[1] else self.waiting
        end = BEGUN + timedelta(seconds=5 * self.looks)
        load = PodLoad(pod="use0-a", end=end, seconds=5.0, busy=self.looks % 7 / 7, handled=self.looks % 11)
        return Committed(offset=max(0, self._end(at) - left), load=None if at[1] else load)


@dataclass
class World:
    """A settled namespace, looked at by one loop."""

    server: ApiServer
    place: str
    loop: Loop
    connect: FakeConnect
    clock: Clock
    kafkas: list[FakeKafka]

    async def look(self, seconds: float) -> None:
        """Make a pass over each resource, ``seconds`` after the last ones; what is looked at has moved."""
        self.clock.pass_by(seconds)
        self.connect.commit()
        for kafka in self.kafkas:
            if isinstance(kafka, Moving):
                kafka.move()
        await asyncio.gather(*(look(self.loop, Key(kind, self.place, name)) for kind, name in NAMES.items()))

    def versions(self) -> dict[str, str]:
        """Return the version of each object there is, Events included."""
        found = self.server.client.list(ALL, self.place)
        return {f"{one['kind']} {one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in found}

    def told(self) -> dict[str, Any]:
        """Return the status of the Consumer."""
        status: dict[str, Any] = read(self.server, "consumer", NAMES["Consumer"], self.place)["status"]
        return status


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the loop a clock of the test's own."""
    made = Clock()
    monkeypatch.setattr(loop_module, "datetime", SimpleNamespace(now=lambda _: made.now))
    monkeypatch.setattr(loop_module, "time", SimpleNamespace(monotonic=made.seconds))
    return made


@pytest.fixture
def place(server: ApiServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a namespace for one test, with all four kinds."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    crowd.prepare(server, name)
    server.client.apply(crowd.resources(1, 1, name))
    yield name
    server.client.delete("namespace", name, wait=False)


@asynccontextmanager
async def settled(
    server: ApiServer, place: str, clock: Clock, kafka: type[FakeKafka], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Give the world once all of it is Ready and a while has gone by."""
    kafkas = list[FakeKafka]()

    def opened(name: str, properties: Mapping[str, str], tokens: Tokens | None) -> FakeKafka:
        kafkas.append(kafka(name, properties, tokens))
        return kafkas[-1]

    monkeypatch.setattr(kafka_connections, "Kafka", opened)
    monkeypatch.setattr(coalescing, "WINDOW", 0.0)
    monkeypatch.setattr(fake, "ANSWER", 0.0)
    async with AsyncExitStack() as stack:
        connect = await stack.enter_async_context(fake_connect())
        connect.passwords[crowd.LOGIN["username"]] = crowd.LOGIN["password"]
        connect.secrets |= {f"{place}/db:{key}": value for key, value in crowd.LOGIN.items()}
        api = crowd.Patient(await connection(str(server.kubeconfig)))
        stack.push_async_callback(api.close)
        await stack.enter_async_context(crowd.rolling_out(api, place))
        loop = await stack.enter_async_context(looping(server, connect=int(connect.url.rpartition(":")[2])))
        world = World(server, place, loop, connect, clock, kafkas)
        await _settle(world, api)
        yield world


async def _settle(world: World, api: Api) -> None:
    async with asyncio.timeout(PATIENCE):
        await world.look(5)
        while missing := await crowd.unready(api, world.place):
            print(f"not settled: {missing}")
            await world.look(5)
    for _ in range(12):
        await world.look(5)


async def test_records_that_come_and_go_write_nothing(
    server: ApiServer, place: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lag, ages, rates, loads, source offsets and times move with each of thirty looks: metrics have them."""
    async with settled(server, place, clock, Moving, monkeypatch) as world:
        before, lags = world.versions(), set[float]()
        for _ in range(30):
            await world.look(5)
            lags.add(_lag(world.loop))
        after = world.versions()

    assert after == before
    assert len(lags) > 1


async def test_looks_that_come_late_write_nothing(
    server: ApiServer, place: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator that has more to do than it can, or that begins anew, finds nothing to tell of what rests."""
    async with settled(server, place, clock, FakeKafka, monkeypatch) as world:
        before = world.versions()
        for seconds in (5, 16, 24, 31, 45, 90, 5, 5):
            await world.look(seconds)
        begun: dict[str, Any] = {name: {} for name in ("tries", "failed", "recorded", "histories", "places", "looked")}
        world.loop = dataclasses.replace(world.loop, **begun)
        for seconds in (5, 40, 5):
            await world.look(seconds)
        after = world.versions()

    assert after == before


@pytest.mark.parametrize("waiting", [0, 50])
async def test_what_stays_is_told(
    server: ApiServer, place: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    """The end of all work, and records that wait longer than commits and looks explain, are told within some looks."""
    async with settled(server, place, clock, Moving, monkeypatch) as world:
        for kafka in world.kafkas:
            assert isinstance(kafka, Moving)
            kafka.waiting = waiting
        for _ in range(10):
            await world.look(5)
        status = world.told()

    assert status["lag"]["records"] == waiting
    assert status["lag"]["seconds"] >= (15 if waiting else 0)
    assert status["scaling"]["arrivalsPerSecond"] < 1


def _lag(loop: Loop) -> float:
    return scraped.total(generate_latest(loop.fleet.registry).decode().splitlines(), "headrace_consumer_lag_messages")
