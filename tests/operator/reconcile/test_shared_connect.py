"""Two Kubernetes clusters with the same names have one Kafka and one Kafka Connect, all of them real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import psycopg
import pytest

from headrace_operator.clients.errors import Busy, Unreachable
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.plan import marks
from tests.cluster.fast import ApiServer
from tests.connect_worker import ConnectWorker
from tests.contract.bench import Patient
from tests.kafka_broker import KafkaBroker
from tests.operator.clusters import Cluster, cluster
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

CONNECTOR = ("Connector", "orders-db")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Two clusters, and the Kafka Connect that they share."""

    east: Cluster
    west: Cluster
    url: str
    database: PostgresServer
    connect: Patient

    def make(self, where: Cluster, database: str) -> None:
        """Apply a Connector of a database."""
        postgres = {"host": "127.0.0.1", "port": self.database.port, "database": database}
        spec = {
            "connect": "main",
            "postgres": {**postgres, "credentials": {"secret": "db"}, "slot": database},
            "capture": {"tables": ["public.customers"]},
        }
        where.apply({"kind": "Connector", "metadata": {"name": "orders-db"}, "spec": spec})

    async def running(self, name: str) -> ConnectorSeen:
        """Return a connector, once its task runs."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self._seen(name)
                if found and [task.state for task in found.tasks] == ["RUNNING"]:
                    return found
                await asyncio.sleep(0.1)

    async def _seen(self, name: str) -> ConnectorSeen | None:
        try:
            found = await self.connect.connector(self.url, name)
        except (Busy, Unreachable):
            return None
        assert isinstance(found, ConnectorSeen), f"{name} is not there"
        return found

    async def removed_by(self, where: Cluster, name: str) -> None:
        """Look at everything of a cluster until a connector is gone."""
        async with asyncio.timeout(PATIENCE):
            while name in await self.all():
                await where.look()

    async def made_by(self, where: Cluster, name: str) -> ConnectorSeen:
        """Look at everything of a cluster until a connector is there, and return it, whether it runs or not."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await self._seen(name) if name in await self.all() else None):
                await where.look()
        return found

    async def all(self) -> set[str]:
        """Return the names of all connectors."""
        return set((await self.connect.workers(self.url)).connectors)


@pytest.fixture
async def shared(
    request: pytest.FixtureRequest,
    server: ApiServer,
    second: ApiServer,
    kafka_broker: KafkaBroker,
    connect_worker: ConnectWorker,
    postgres_server: PostgresServer,
) -> AsyncIterator[Shared]:
    """Make the same namespace in both, with a ConnectCluster that is ready; the parameters are the clusters' names."""
    place, called = f"shared-{uuid4().hex[:8]}", getattr(request, "param", ("", ""))
    connect_worker.write_secret(place, "db", username="postgres", password="any")
    port = urlsplit(connect_worker.url).port or 0
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        made = [
            await stack.enter_async_context(
                cluster(one, place, kafka_broker, ("ConnectCluster", "main"), connect=port, name=name)
            )
            for one, name in zip((server, second), called, strict=True)
        ]
        for each in made:
            await _with_workers(each)
        east, west = (replace(one, keys=(*one.keys, CONNECTOR)) for one in made)
        given = Shared(east=east, west=west, url=connect_worker.url, database=postgres_server, connect=Patient(session))
        for name in ("east", "west"):
            postgres_server.create_database(name)
            with psycopg.connect(postgres_server.url(name), autocommit=True) as connection:
                connection.execute("CREATE TABLE public.customers (id serial PRIMARY KEY)")
        stack.push_async_callback(_removed, given)
        yield given


async def _with_workers(one: Cluster) -> None:
    """Make a ConnectCluster, and say that its workers run, as a cluster would: they are the shared one."""
    login = {"username": "postgres", "password": "any"}
    one.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": login},
        {"kind": "ConnectCluster", "metadata": {"name": "main"}, "spec": {"kafka": "kafka", "workers": {}}},
    )

    await one.until("a Deployment", lambda: one.server.client.exists("deployment", "main-connect", one.place))
    generation = one.read("deployment", "main-connect")["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    status = {"status": {"observedGeneration": generation, **counts}}
    one.server.client.patch("deployment", "main-connect", status, one.place, part="status")


async def _removed(shared: Shared) -> None:
    """Remove every connector, and then their slots."""
    for name in await shared.all():
        await shared.connect.remove(shared.url, name)
    await asyncio.to_thread(shared.database.drop_slots)


async def test_one_cluster_neither_changes_nor_removes_what_another_made(shared: Shared) -> None:
    """Of the same name: not while it has a Connector of its own, not when that goes. Then it is free, and taken."""
    east, west, name = shared.east, shared.west, f"{shared.east.place}.orders-db"
    shared.make(east, "east")
    await east.until_reason("Ready")
    made = await shared.running(name)
    shared.make(west, "west")
    await west.until_reason("NameTaken")
    told = west.condition()
    west.delete("connector", "orders-db")
    await west.look(3)
    workers = partial(west.read, "connectcluster", "main")
    await west.until("it to be told of", lambda: workers()["status"].get("unmanagedConnectors") == [name])
    after = await shared.running(name)

    assert told["reason"] == "NameTaken"
    assert f"headrace.dev/take-over={east.home()}" in told["message"]
    assert dict(after.config) == dict(made.config)
    assert after.config[marks.NAMESPACE] == east.home()
    await east.look()
    await east.until_reason("Ready")

    shared.make(west, "west")
    east.delete("connector", "orders-db")
    await shared.removed_by(east, name)
    found = await shared.made_by(west, name)
    assert found.config["database.dbname"] == "west"
    assert found.config[marks.NAMESPACE] == west.home()


async def test_a_namespace_that_was_restored_goes_on_once_it_says_whose_it_takes_over(shared: Shared) -> None:
    """Names and Kafka are as before; the UIDs are others, here those of another cluster."""
    east, west, name = shared.east, shared.west, f"{shared.east.place}.orders-db"
    shared.make(east, "east")
    await east.until_reason("Ready")
    shared.make(west, "east")
    await west.until_reason("NameTaken")
    west.annotate("connector", "orders-db", {"headrace.dev/take-over": east.home()})
    await west.until_reason("Ready")
    west.annotate("connector", "orders-db", {"headrace.dev/take-over": None})
    await west.look(2)
    await east.until_reason("NameTaken")

    assert (await shared.running(name)).config[marks.NAMESPACE] == west.home()
    await west.look()
    await west.until_reason("Ready")


@pytest.mark.parametrize(
    "shared", [("east", "west"), pytest.param(("", "west"), marks=pytest.mark.sweep)], indirect=True
)
async def test_clusters_with_names_of_their_own_have_each_its_connector(shared: Shared) -> None:
    """Of one name in Kubernetes; each goes alone."""
    east, west = shared.east, shared.west
    for one, database in ((east, "east"), (west, "west")):
        shared.make(one, database)
        await one.until_reason("Ready")
    names = [one.read(*CONNECTOR)["status"]["connectorName"] for one in (east, west)]
    assert names[1] == f"west.{west.place}.orders-db"
    assert await shared.all() == set(names)
    databases = [(await shared.running(name)).config["database.dbname"] for name in names]
    west.delete("connector", "orders-db")
    await shared.removed_by(west, names[1])
    await east.look(2)

    assert databases == ["east", "west"]
    assert await shared.all() == {names[0]}
    await east.until_reason("Ready")
