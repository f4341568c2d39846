"""Whatever call of a pass fails, the next passes end in the same place; whoever hangs delays nobody else."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from headrace_operator.clients.connect import DEADLINE
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.asking import answered
from tests.operator.loops import answering, look, looping, with_remote
from tests.operator.operator_process import kubectl, read
from tests.waiting import PATIENCE, pause

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

KAFKA = """
apiVersion: headrace.dev/v1alpha1
kind: KafkaConnection
metadata: {{name: {name}}}
spec: {{bootstrapServers: "{servers}"}}
"""
CONSUMER = """
apiVersion: headrace.dev/v1alpha1
kind: Consumer
metadata: {{name: {name}}}
spec:
  from: {{kafka: {kafka}, topics: [interrupted.orders]}}
  handler: {{http: {{url: "http://billing:8080/{path}"}}}}
"""
CONNECT = """
apiVersion: headrace.dev/v1alpha1
kind: ConnectCluster
metadata: {name: main}
spec: {kafka: kafka, workers: {}}
"""
CONNECTOR = """
apiVersion: headrace.dev/v1alpha1
kind: Connector
metadata: {{name: {name}}}
spec:
  connect: main
  postgres: {{host: shop-db, database: shop, credentials: {{secret: shop-db}}}}
  capture: {{outbox: {{table: public.outbox}}}}
"""


@dataclass
class Calls:
    """Counts calls of clients; the call number ``failing`` fails, before or after it took effect."""

    failing: int
    late: bool
    made: int = 0

    def of(self, real: Any) -> Any:
        """Return a stand-in for a client."""
        return Counted(real, self)

    async def make(self, call: Any, arguments: Any, named: Any) -> Any:
        """Make one call, or fail."""
        self.made += 1
        fails = self.made == self.failing
        if fails and not self.late:
            raise Unreachable("no answer, as the test wants it")
        answer = await call(*arguments, **named)
        if fails:
            raise Unreachable("the answer was lost, as the test wants it")
        return self.of(answer) if isinstance(answer, Kafka) else answer


class Counted:
    """A client whose calls are counted."""

    def __init__(self, real: Any, calls: Calls) -> None:
        self._real, self._calls = real, calls

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            return await self._calls.make(getattr(self._real, name), arguments, named)

        return call


def counted(loop: Loop, calls: Calls) -> Loop:
    """Return the loop with clients that are counted."""
    remote, kube = loop.remote, calls.of(loop.remote.kube)
    return with_remote(loop, kube=kube, near=kube, connect=calls.of(remote.connect), kafkas=calls.of(remote.kafkas))


def outcome(server: ApiServer, place: str, name: str) -> list[str]:
    """Return all that a user sees of a Consumer in the end, without its name and times."""
    status = read(server, "consumer", name, place).get("status", {})
    seen = [f"{one['type']}={one['status']} {one['reason']}: {one['message']}" for one in status.get("conditions", ())]
    children = server.client.list("deployments,configmaps,serviceaccounts", place)
    called = [f"{one['kind']}/{one['metadata']['name']}" for one in children]
    made = [re.sub(r"-[0-9a-f]{16}$", "-HASH", child) for child in called if f"/{name}-consumer" in child]
    return [one.replace(name, "NAME") for one in (*seen, json.dumps(status.get("topics")), *made)]


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.sweep)])
async def test_whichever_call_fails_the_end_is_the_same(
    server: ApiServer, kafka_broker: KafkaBroker, step: int, late: bool
) -> None:
    """Calls of a first pass fail in turn, without effect or with their answers lost: clean passes mend it."""
    place = f"interrupted-{'after' if late else 'before'}-{step}"
    async with world(server, kafka_broker.bootstrap_servers, place) as loop:
        calls = Calls(failing=0, late=late)
        await ended(server, counted(loop, calls), loop, place, "clean")
        expected = outcome(server, place, "clean")
        assert len([one for one in expected if "/NAME-consumer" in one]) == 3
        for number in range(1 + late, calls.made + 1, step):
            name = f"failing{number}"
            await ended(server, counted(loop, Calls(failing=number, late=late)), loop, place, name)
            assert outcome(server, place, name) == expected, f"call {number}"


async def ended(server: ApiServer, first: Loop, clean: Loop, place: str, name: str) -> None:
    """Make a Consumer, one pass of ``first`` over it, and clean ones until three in a row knew all and went well.

    No pod runs here that could tell of its target. Settings of topics that were made without knowing them are mended
    with the next look, half a minute later.
    """
    server.client.apply(CONSUMER.format(name=name, kafka="kafka", path="events"), place)
    key, well = Key("Consumer", place, name), 0
    await first.reconcile(key)
    assert len(first.queue) == 1
    async with asyncio.timeout(PATIENCE):
        while well < 3:
            begun = time.monotonic()
            await clean.reconcile(key)
            await asyncio.sleep(pause(time.monotonic() - begun, every=0.02))
            said = str(outcome(server, place, name))
            known = "Ready=" in said and "=Unknown" not in said.replace("TargetHealthy=Unknown", "")
            settled = known and "SettingsDiffer" not in said
            well = well + 1 if settled and key not in clean.tries else 0


@asynccontextmanager
async def world(server: ApiServer, servers: str, place: str, connect: int = 1) -> AsyncIterator[Loop]:
    """Give a loop beside a namespace with a KafkaConnection that answers and its topic."""
    server.client.create_namespace(place)
    server.client.apply(KAFKA.format(name="kafka", servers=servers), place)
    async with looping(server, connect=connect) as loop:
        await look(loop, Key("KafkaConnection", place, "kafka"))
        kafka = Kafka("kafka", {"bootstrap.servers": servers})
        await answered(lambda: kafka.create("interrupted.orders", 2, {}))
        await answered(lambda: kafka.topics(["interrupted.orders"]), lambda found: "interrupted.orders" in found)
        kafka.close()
        yield loop
    server.client.delete("namespace", place, wait=False)


async def test_what_hangs_delays_nothing_else(server: ApiServer, kafka_broker: KafkaBroker) -> None:
    """Connect answers nothing, one Kafka is silent and one is gone: a Consumer beside them waits for none of them."""
    place = "hanging"

    async def silence(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(600)
        raise AssertionError("nobody waits so long")

    silent = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{silent.getsockname()[1]}"
    servers = kafka_broker.bootstrap_servers
    with silent:
        async with answering(silence) as port, world(server, servers, place, connect=port) as loop:
            working = asyncio.create_task(loop.queue.run())
            alone = [await latency(server, loop, place, f"alone/{number}") for number in range(3)]
            for key in hang(server, place, address):
                loop.queue.put(key)
            for tried in range(4):  # the machine may be busier than it was
                beside = [await latency(server, loop, place, f"beside/{tried}/{number}") for number in range(6)]
                if statistics.median(beside) < statistics.median(alone) + DEADLINE / 2:
                    break
            working.cancel()
            await asyncio.wait([working])

    assert statistics.median(beside) < statistics.median(alone) + DEADLINE / 2, (alone, beside)


def hang(server: ApiServer, place: str, address: str) -> list[Key]:
    """Make resources whose remote parts never answer, and return their keys."""
    kafkas = {"silent": address, "gone": "127.0.0.1:1"}
    documents = [KAFKA.format(name=name, servers=servers) for name, servers in kafkas.items()]
    documents += [
        CONSUMER.format(name=f"of-{kafka}{n}", kafka=kafka, path="events") for kafka in kafkas for n in range(3)
    ]
    documents += [CONNECT, *(CONNECTOR.format(name=f"db{number}") for number in range(6))]
    server.client.apply("---".join(documents), place)
    secret = ("--from-literal=username=u", "--from-literal=password=p")
    kubectl(server, "create", "secret", "generic", "shop-db", "-n", place, *secret)
    kinds = {"KafkaConnection": tuple(kafkas), "ConnectCluster": ("main",)}
    kinds["Consumer"] = tuple(f"of-{kafka}{n}" for kafka in kafkas for n in range(3))
    kinds["Connector"] = tuple(f"db{number}" for number in range(6))
    return [Key(kind, place, name) for kind, names in kinds.items() for name in names]


async def latency(server: ApiServer, loop: Loop, place: str, path: str) -> float:
    """Change the Consumer on the Kafka that answers, and return the seconds until its objects say so.

    It is one Consumer all the time: each more is a load of its own, under which all wait longer.
    """
    before = await _pods(loop, place)
    server.client.apply(CONSUMER.format(name="healthy", kafka="kafka", path=path), place)
    begun = time.monotonic()
    loop.queue.put(Key("Consumer", place, "healthy"))
    async with asyncio.timeout(PATIENCE):
        while await _pods(loop, place) == before:  # noqa: ASYNC110 - nobody watches here
            await asyncio.sleep(0.05)
    return time.monotonic() - begun


async def _pods(loop: Loop, place: str) -> list[object]:
    """Return what pods the Consumer's Deployment makes, once there is one."""
    made = await loop.remote.kube.children(place, "healthy-consumer", ("Deployment",), "none=none")
    return [one["spec"]["template"] for one in made.objects.values()]
