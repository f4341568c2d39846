"""The whole life of a resource of each kind, on a real API server: its writes are counted, and one may go wrong.

Kafka and Kafka Connect are fakes that pass the contract tests. Times are given; pods are ready once they are made.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace import names
from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, connection, path
from headrace_operator.clients.kube import VERSIONS
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kube import Manifest
from headrace_operator.reconcile.execute import BEGIN
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.remote import Remote
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.fakes.connect import FakeConnect, fake_connect
from tests.fakes.listening import ListeningKafka
from tests.operator.crowd import LOGIN, MERGE, Patient, make_ready, prepare
from tests.operator.loops import looping
from tests.operator.writes import NEVER, Crash, Writes
from tests.waiting import PATIENCE

Json = dict[str, Any]
CHILDREN = ("ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "Service")
FIGURES = {"ScalingActive", "WithinTarget"}
"""Conditions that hang on how often was looked."""

LONG, BACK_OFF, ASKED = 400.0, 15.0, 30.0
"""Seconds after which what is seldom looked at is looked at again, a restart is due, and a connector is asked anew."""

VARYING = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"[0-9a-f]{16}|(?<=_)[0-9a-f]{8}\b", "HASH"),
    (r"\b\d{1,3}(\.\d{1,3}){3}\b", "ADDRESS"),
)
"""What differs from one life to the next."""

TOPIC = "orders"
SPECS: dict[str, Json] = {
    "KafkaConnection": {"bootstrapServers": "kafka:9092"},
    "ConnectCluster": {"kafka": "kafka", "workers": {}},
    "Connector": {
        "connect": "main",
        "postgres": {"host": "db", "database": "shop", "credentials": {"secret": "db"}},
        "capture": {"outbox": {"table": "public.outbox"}},
    },
    "Consumer": {"from": {"kafka": "kafka", "topics": [TOPIC]}, "handler": {"http": {"url": "http://web"}}},
    "OutboxRelay": {
        "kafka": "kafka",
        "mariadb": {"host": "db", "database": "shop", "credentials": {"secret": "db"}},
        "table": "outbox",
    },
    "Snapshot": {"connector": "orders-db", "tables": ["public.outbox"]},
}
NAMES = {
    "KafkaConnection": "kafka",
    "ConnectCluster": "main",
    "Connector": "orders-db",
    "Consumer": "billing",
    "OutboxRelay": "parcels",
    "Snapshot": "earlier",
}


class Clock:
    """What the loop asks for the time, which passes when it is told: on a slow machine, too, all lives are alike."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self, zone: Any) -> datetime:
        """Return the time."""
        return self._now.astimezone(zone)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


@dataclass
class Life:
    """A namespace in which a resource lives, and the operator that looks at it, which may end and begin anew.

    `seen` is what there was after each step.
    """

    api: Api
    loop: Loop
    remote: Remote
    fake: FakeConnect
    kafka: ListeningKafka
    clock: Clock
    place: str
    writes: Writes
    seen: list[str] = field(default_factory=list)
    keys: tuple[Key, ...] = ()

    def begin(self, writes: Writes) -> None:
        """Begin anew with an operator that remembers nothing, whose writes are counted."""
        self.writes, of = writes, writes.of
        kube = of(self.remote.kube)
        clients = {"kube": kube, "near": kube, "connect": of(self.remote.connect), "kafkas": of(self.remote.kafkas)}
        remote = dataclasses.replace(self.remote, **clients)
        self.loop = Loop(remote=remote, lease=self.loop.lease, settings=self.loop.settings, fleet=Fleet())

    def key(self, kind: str) -> Key:
        """Return the key of the resource of a kind."""
        return Key(kind, self.place, NAMES[kind])

    async def create(self, *kinds: str, waits: tuple[float, ...] = (), **more: Any) -> None:
        """Make a resource of each kind, the last one with more in its spec, and look at them, after each of waits."""
        for kind in kinds:
            spec = {**SPECS[kind], **(more if kind == kinds[-1] else {})}
            body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": NAMES[kind]}, "spec": spec}
            await self.api.send("POST", path(API_VERSION, kind, self.place), body=body)
        self.keys = tuple(dict.fromkeys((*self.keys, *map(self.key, kinds))))
        await self.settle(*waits)

    async def edit(self, kind: str, *waits: float, **spec: Any) -> None:
        """Change a spec, and look at it, after each of several waits."""
        await self.api.send("PATCH", self._at(kind), body={"spec": spec}, form=MERGE)
        await self.settle(*waits)

    async def annotate(self, kind: str, **asked: str) -> None:
        """Ask for something by annotations, and look at it."""
        annotations = {f"headrace.dev/{name}": value for name, value in asked.items()}
        await self.api.send("PATCH", self._at(kind), body={"metadata": {"annotations": annotations}}, form=MERGE)
        await self.settle()

    async def delete(self, kind: str) -> None:
        """Delete a resource, and look at what is left."""
        await self.api.send("DELETE", self._at(kind))
        await self.settle()

    async def settle(self, *waits: float) -> None:
        """Look at everything until nothing is written any more, after each of several waits."""
        for seconds in waits or (0.0,):
            self.clock.wait(seconds)
            quiet = 0
            async with asyncio.timeout(PATIENCE):
                while quiet < 2:
                    quiet = quiet + 1 if await self._is_quiet() else 0
        self.seen.append(await self._outcome())

    async def _is_quiet(self) -> bool:
        before = self.writes.count
        for key in self.keys:
            await self._look(key)
        await self._roll_out()
        return self.writes.count == before and not self.loop.tries

    async def _look(self, key: Key) -> None:
        while not self.loop.lease.held(BEGIN):  # noqa: ASYNC110 - it does not tell when it is so
            await asyncio.sleep(0.02)
        try:
            await self.loop.reconcile(key)
        except Crash:
            self.begin(self.writes)

    async def _roll_out(self) -> None:
        found = await self.api.get(path("apps/v1", "Deployment", self.place))
        for one in (found or {}).get("items", ()):
            await make_ready(self.api, one)

    def _at(self, kind: str) -> str:
        return path(API_VERSION, kind, self.place, NAMES[kind])

    async def _outcome(self) -> str:
        """Return all that there is, without what differs from one life to the next: places, UIDs, hashes and times."""
        resources = [await self.api.get(self._at(key.kind)) for key in self.keys]
        listed = [await self.api.get(path(VERSIONS.get(kind, "v1"), kind, self.place)) for kind in CHILDREN]
        made = [one for each in listed for one in (each or {})["items"] if one["metadata"].get("ownerReferences")]
        known = [*map(_told, resources), *map(_object, made), await self._topics(), _connectors(self.fake)]
        known += [self.kafka.debezium.done]
        return "\n".join(sorted(self._plain(json.dumps(one, sort_keys=True)) for one in known))

    def _plain(self, text: str) -> str:
        return functools.reduce(
            lambda told, one: re.sub(one[0], one[1], told), VARYING, text.replace(self.place, "PLACE")
        )

    async def _topics(self) -> Json:
        prefix = f"{self.place}.{NAMES['Connector']}"
        of_snapshots = (f"{prefix}.signals", f"{prefix}.notifications")
        seen = await self.kafka.topics((*names.own_topics(self.place, NAMES["Consumer"]), *of_snapshots))
        return {name: [one.partitions, dict(await self.kafka.settings(name))] for name, one in seen.items()}


def _told(resource: Manifest | None) -> Any:
    """Return what a resource's status says, but for figures."""
    status = (resource or {}).get("status") or {}
    conditions = [one for one in status.get("conditions") or () if one["type"] not in FIGURES]
    said = [[one[part] for part in ("type", "status", "reason", "message")] for one in conditions]
    return [status.get("accepted"), said]


def _object(made: Manifest) -> Json:
    """Return what was applied of an object."""
    known = {name: part for name, part in made.items() if name not in ("metadata", "status")}
    return known | {name: made["metadata"].get(name) for name in ("name", "labels", "annotations", "ownerReferences")}


def _connectors(fake: FakeConnect) -> Json:
    return {name: [one.config, one.state, len(one.tasks)] for name, one in fake.connectors.items()}


async def of_kafka_connection(life: Life) -> None:
    """Made, edited, and deleted."""
    await life.create("KafkaConnection")
    await life.edit("KafkaConnection", properties={"client.rack": "a"})
    await life.delete("KafkaConnection")


async def of_connect_cluster(life: Life) -> None:
    """Made, edited, and its contract of before removed; deleted."""
    await life.create("ConnectCluster")
    await life.edit("ConnectCluster", 0, LONG, workers={"config": {"offset.flush.interval.ms": "9000"}})
    await life.delete("ConnectCluster")


async def of_connector(life: Life) -> None:
    """Made, edited, paused and resumed; restarted and given other offsets as somebody asks, restarted after a failure;
    removed, and made anew so that it never runs.
    """
    await life.create("Connector")
    await life.edit("Connector", config={"poll.interval.ms": "100"})
    await life.edit("Connector", state="Paused")
    await life.edit("Connector", state="Running")
    await life.annotate("Connector", restart="one")
    await life.annotate("Connector", offsets='{"id": "one", "action": "reset"}')
    life.fake.fail(f"{life.place}.{NAMES['Connector']}", "java.lang.Error: no slot")
    await life.settle(*(4 * [BACK_OFF]))
    await life.delete("Connector")
    await life.create("Connector", state="Stopped")
    await life.delete("Connector")


async def of_consumer(life: Life) -> None:
    """Made, edited, and its contract of before removed; paused and resumed; its topics mended and grown; deleted."""
    await life.create("Consumer")
    await life.edit("Consumer", 0, LONG, delivery={"concurrency": 3})
    await life.edit("Consumer", state="Paused")
    await life.edit("Consumer", state="Running")
    await life.kafka.alter(names.retry_topic(life.place, NAMES["Consumer"]), {"retention.ms": "1000"})
    await life.kafka.grow(TOPIC, 24)
    await life.settle(LONG)
    await life.delete("Consumer")


async def of_outbox_relay(life: Life) -> None:
    """Made, edited, and its contract of before removed; deleted."""
    await life.create("OutboxRelay")
    await life.edit("OutboxRelay", 0, LONG, batch=100, replicas=2)
    await life.delete("OutboxRelay")


async def of_snapshot(life: Life) -> None:
    """Made, so that its connector is told to listen, and of it; rests, goes on, is read, and deleted.

    Another is deleted while it runs, and a third one while it rests.
    """
    await life.create("Snapshot", waits=(0, ASKED))
    await life.edit("Snapshot", 0, ASKED, paused=True)
    await life.edit("Snapshot", BACK_OFF, ASKED, paused=False)
    life.kafka.debezium.finish()
    await life.settle()
    await life.delete("Snapshot")
    await life.create("Snapshot", waits=(0, ASKED))
    await life.delete("Snapshot")
    await life.create("Snapshot", waits=(0, ASKED))
    await life.edit("Snapshot", 0, ASKED, paused=True)
    await life.delete("Snapshot")


LIVES: dict[str, tuple[tuple[str, ...], Callable[[Life], Awaitable[None]]]] = {
    "KafkaConnection": ((), of_kafka_connection),
    "ConnectCluster": (("KafkaConnection",), of_connect_cluster),
    "Connector": (("KafkaConnection", "ConnectCluster"), of_connector),
    "Consumer": (("KafkaConnection",), of_consumer),
    "OutboxRelay": (("KafkaConnection",), of_outbox_relay),
    "Snapshot": (("KafkaConnection", "ConnectCluster", "Connector"), of_snapshot),
}
"""Of each kind what is there before, and its life."""


async def lived(kind: str, server: ApiServer, place: str, writes: Writes) -> Life:
    """Live a whole life in a namespace beside what is there before, to which nothing happens, and return it."""
    before, life = LIVES[kind]
    async with _beginning(server, place) as made:
        await made.create(*before)
        made.seen.clear()
        made.fake.requests.clear()
        made.begin(writes)
        await life(made)
        return made


@asynccontextmanager
async def _beginning(server: ApiServer, place: str) -> AsyncIterator[Life]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setattr("headrace_operator.reconcile.loop.datetime", clock)
        patched.setattr("tests.fakes.kafka.ANSWER", 0)
        patched.setattr("headrace_operator.clients.coalescing.WINDOW", 0)
        fake = await stack.enter_async_context(fake_connect())
        kafka = ListeningKafka("kafka", {"bootstrap.servers": "kafka:9092"}, fake, lambda: clock.now(UTC))
        patched.setattr("headrace_operator.clients.kafka_connections.Kafka", lambda *_: kafka)
        fake.passwords[LOGIN["username"]] = LOGIN["password"]
        fake.secrets = {f"{place}/db:{key}": value for key, value in LOGIN.items()}
        loop = await stack.enter_async_context(looping(server, connect=int(fake.url.rpartition(":")[2])))
        api = Patient(await connection(str(server.kubeconfig)))
        stack.push_async_callback(api.close)
        prepare(server, place)
        writes, remote = Writes(at=NEVER, how="before"), loop.remote
        made = Life(api=api, loop=loop, remote=remote, fake=fake, kafka=kafka, clock=clock, place=place, writes=writes)
        made.begin(writes)
        yield made
