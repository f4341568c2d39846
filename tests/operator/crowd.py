"""A crowd of Connectors and Consumers: their resources, the operator that looks at them, and what a cluster does.

The operator is the real one in a process of its own; Kafka and the workers of Kafka Connect are fakes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, path
from headrace_operator.clients.connections import Connections
from headrace_operator.clients.errors import Busy, Conflict, Missing, Unreachable
from headrace_operator.observed.kube import Manifest
from tests.cluster.fast import ApiServer
from tests.fakes.connect import FakeConnect, fake_connect
from tests.waiting import PATIENCE

PLACE = "shop"
PORTS = "CROWD_PORTS"
PROGRAM = "from tests.operator.crowd import operate; operate()"
"""What the operator's process runs, in the folder of the repository."""

MERGE = "application/merge-patch+json"
HEARTBEAT = 10.0
"""Seconds after which Debezium writes into a database that is quiet, so that offsets move."""

LOGIN = {"username": "me", "password": "mine"}


class Ports(AbstractResolver):
    """Each ConnectCluster's Service is a port of loopback."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        """Return the port of ``host``."""
        known = {"hostname": host, "host": "127.0.0.1", "port": self._ports[host], "family": socket.AF_INET}
        return [ResolveResult(**known, proto=0, flags=socket.AI_NUMERICHOST)]  # type: ignore[typeddict-item]

    async def close(self) -> None:
        """Hold nothing."""


def operate() -> None:
    """Run the operator, as its command does, with the ports of `PORTS` for its Connects and a fake Kafka."""
    import aiohttp.connector

    from headrace_operator.cli import run
    from headrace_operator.clients import kafka_connections
    from tests.fakes.kafka import FakeKafka

    resolver = Ports(json.loads(os.environ[PORTS]))
    kafka_connections.Kafka = FakeKafka  # type: ignore[attr-defined]
    aiohttp.connector.DefaultResolver = lambda *_, **__: resolver  # type: ignore[attr-defined,assignment]
    run()


class Patient(Api):
    """Asks again while the API server does not answer in time, or asks to."""

    async def send(self, method: str, where: str, **given: Any) -> Manifest:
        """Send one request until it is answered, and return the answer; raises `HeadraceError`."""
        while True:
            try:
                return await super().send(method, where, **given)
            except (Busy, Unreachable):
                await asyncio.sleep(1)


def prepare(server: ApiServer, place: str) -> None:
    """Make a namespace with the Secret that its Connectors use."""
    server.client.create_namespace(place)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": LOGIN}
    server.client.create(secret, place)


def resources(size: int, connects: int, place: str = PLACE) -> list[dict[str, Any]]:
    """Return a KafkaConnection, ``connects`` ConnectClusters, and ``size`` Connectors with a Consumer each."""
    made = [
        _resource("KafkaConnection", "kafka", {"bootstrapServers": "kafka:9092"}),
        *(_resource("ConnectCluster", f"c{number}", {"kafka": "kafka", "workers": {}}) for number in range(connects)),
        *(_resource("Connector", f"db{number}", _capture(f"c{number % connects}")) for number in range(size)),
        *(_resource("Consumer", f"use{number}", _use(f"db{number}")) for number in range(size)),
    ]
    return [{**one, "metadata": {**one["metadata"], "namespace": place}} for one in made]


def _resource(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _capture(connect: str) -> dict[str, Any]:
    postgres = {"host": "db", "database": "shop", "credentials": {"secret": "db"}}
    return {"connect": connect, "postgres": postgres, "capture": {"outbox": {"table": "public.outbox"}}}


def _use(connector: str) -> dict[str, Any]:
    return {
        "from": {"connector": connector, "routes": ["order"]},
        "handler": {"http": {"url": "http://web"}},
        "scale": {"min": 1, "max": 1},
    }


async def connects(stack: AsyncExitStack, count: int, places: Collection[str] = (PLACE,)) -> list[FakeConnect]:
    """Serve the workers of ``count`` ConnectClusters in each namespace, and name their ports in `PORTS`, by host."""
    ports: dict[str, int] = {}
    fakes: list[FakeConnect] = []
    for place in places:
        for number in range(count):
            fake = await stack.enter_async_context(fake_connect())
            fake.passwords[LOGIN["username"]] = LOGIN["password"]
            fake.secrets |= {f"{place}/db:{key}": value for key, value in LOGIN.items()}
            ports[f"c{number}-connect.{place}.svc"] = int(fake.url.rpartition(":")[2])
            fakes.append(fake)
    os.environ[PORTS] = json.dumps(ports)
    stack.callback(os.environ.pop, PORTS)
    stack.callback(asyncio.create_task(_beat(fakes)).cancel)
    return fakes


async def _beat(fakes: Iterable[FakeConnect]) -> None:
    """Move the offsets of each connector by its heartbeats."""
    while True:
        await asyncio.sleep(HEARTBEAT)
        for fake in fakes:
            fake.commit()


async def create(api: Api, wanted: Iterable[Mapping[str, Any]], at_once: int = 8) -> None:
    """Create objects, ``at_once`` together."""
    left = iter(wanted)

    async def some() -> None:
        for one in left:
            with contextlib.suppress(Conflict):  # it was made, and the answer was lost
                await api.send("POST", path(one["apiVersion"], one["kind"], one["metadata"]["namespace"]), body=one)

    await asyncio.gather(*(some() for _ in range(at_once)))


@asynccontextmanager
async def rolling_out(api: Api, place: str = PLACE) -> AsyncIterator[None]:
    """Let each Deployment become ready, as a cluster would."""
    running = asyncio.create_task(_roll_out(api, place))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _roll_out(api: Api, place: str) -> None:
    where = api.configuration.host + path("apps/v1", "Deployment", place)
    connector = Connections(ssl=api.ssl)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**20) as session:
        while True:
            watch = session.get(where, params={"watch": "true"}, timeout=aiohttp.ClientTimeout(sock_connect=PATIENCE))
            async with watch as events:
                async for line in events.content:
                    await make_ready(api, json.loads(line)["object"])


async def make_ready(api: Api, one: Mapping[str, Any]) -> None:
    """Let a Deployment be ready, unless it is."""
    count, generation = one["spec"]["replicas"], one["metadata"]["generation"]
    if (one.get("status") or {}).get("observedGeneration") == generation:
        return
    status = {"observedGeneration": generation, "replicas": count, "updatedReplicas": count}
    where = path("apps/v1", "Deployment", one["metadata"]["namespace"], one["metadata"]["name"], "status")
    body = {"status": status | {"readyReplicas": count, "availableReplicas": count}}
    with contextlib.suppress(Missing):
        await api.send("PATCH", where, body=body, form=MERGE)


async def unready(api: Api, place: str = PLACE) -> dict[str, str]:
    """Return kind and name of what is not Ready, with the reason."""
    missing: dict[str, str] = {}
    for kind in ("KafkaConnection", "ConnectCluster", "Connector", "Consumer"):
        found = await api.get(path(API_VERSION, kind, place))
        for one in (found or {}).get("items", ()):
            ready, reason = _ready(one)
            if not ready:
                missing[f"{kind} {one['metadata']['name']}"] = reason
    return missing


def _ready(one: Mapping[str, Any]) -> tuple[bool, str]:
    conditions = (one.get("status") or {}).get("conditions") or ()
    found = next((each for each in conditions if each["type"] == "Ready"), {"status": "", "reason": "not seen"})
    return found["status"] == "True", found["reason"]
