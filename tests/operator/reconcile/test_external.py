"""Connectors on a Kafka Connect that others run, with a real API server: put and removed there, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from headrace_operator.api.schema import API_VERSION
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.client import refusal
from tests.cluster.fast import ApiServer
from tests.fakes.connect import Connector, FakeConnect, fake_connect
from tests.operator import worlds
from tests.operator.loops import looping, until
from tests.operator.operator_process import read

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

CHILDREN = "deployments,services,networkpolicies,roles,rolebindings,poddisruptionbudgets,replicasets"
USER, PASSWORD = (f"${{directory:/opt/secrets/shop-db:{key}}}" for key in ("username", "password"))
CLUSTER, CONNECTOR = ("ConnectCluster", "main"), ("Connector", "orders-db")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A namespace, the Kafka Connect of others that it names, and the operator's loop."""

    server: ApiServer
    loop: Loop
    fake: FakeConnect
    place: str

    @property
    def name(self) -> str:
        """Return what the connector is called there."""
        return f"{self.place}.orders-db"

    def apply(self, at: tuple[str, str], spec: dict[str, Any]) -> None:
        """Make or edit a resource."""
        kind, name = at
        made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.server.client.apply(made, self.place)

    def external(self, **more: Any) -> dict[str, Any]:
        """Return the spec of the ConnectCluster."""
        where = {"url": self.fake.url, "secretReference": "${directory:/opt/secrets/{name}:{key}}"}
        return {"kafka": "kafka", "external": where, **more}

    def told(self, at: tuple[str, str], kind: str = "Ready") -> dict[str, Any]:
        """Return a condition, with an empty reason while there is none."""
        conditions = (read(self.server, at[0], at[1], self.place).get("status") or {}).get("conditions") or ()
        return next((one for one in conditions if one["type"] == kind), {"reason": "", "status": ""})

    async def until(self, what: str, holds: Any) -> None:
        """Make passes over both until something holds."""
        await until(what, holds, self.loop, *(Key(kind, self.place, name) for kind, name in (CLUSTER, CONNECTOR)))

    async def until_ready(self) -> None:
        """Make passes until the Connector is ready."""
        await self.until("Ready", lambda: self.told(CONNECTOR)["status"] == "True")

    async def look(self, times: int) -> None:
        """Make so many passes over both."""
        for _ in range(times):
            for kind, name in (CLUSTER, CONNECTOR):
                await self.loop.reconcile(Key(kind, self.place, name))


@pytest.fixture
def place(server: ApiServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a namespace for one test, with a KafkaConnection that was accepted and a Secret."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    server.client.create_namespace(name)
    kafka = {"kind": "KafkaConnection", "metadata": {"name": "kafka"}, "spec": {"bootstrapServers": "127.0.0.1:1"}}
    secret = {"kind": "Secret", "metadata": {"name": "shop-db"}, "stringData": {"username": "a", "password": "s3cret"}}
    server.client.apply([{"apiVersion": API_VERSION, **kafka}, {"apiVersion": "v1", **secret}], name)
    accepted = {"generation": 1, "spec": {"bootstrapServers": "127.0.0.1:1"}}
    status = {"status": {"accepted": accepted, "clusterId": "fake"}}
    server.client.patch("kafkaconnection", "kafka", status, name, part="status")
    yield name
    server.client.delete("namespace", name, wait=False)


@pytest.fixture
async def shop(server: ApiServer, place: str) -> AsyncIterator[Shop]:
    """Give a Kafka Connect whose own provider has the login, and which has a connector of its own."""
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(fake_connect())
        fake.passwords[USER] = PASSWORD
        fake.connectors["theirs"] = Connector(config={"name": "theirs", "topic.prefix": "x"})
        loop = await stack.enter_async_context(looping(server))
        made = Shop(server=server, loop=loop, fake=fake, place=place)
        made.apply(CLUSTER, made.external())
        made.apply(CONNECTOR, dict(worlds.CONNECTOR.spec))
        yield made


async def test_a_connector_runs_there_and_nothing_is_made_here(shop: Shop) -> None:
    await shop.until_ready()
    await shop.look(2)
    config = shop.fake.connectors[shop.name].config

    assert (config["database.user"], config["database.password"]) == (USER, PASSWORD)
    assert shop.server.client.list(CHILDREN, shop.place) == []
    status = read(shop.server, *CLUSTER, shop.place)["status"]
    assert status["unmanagedConnectors"] == ["theirs"]
    assert status["version"] == "4.3.1"
    assert shop.told(CLUSTER)["status"] == "True"
    assert len(shop.fake.written()) == 1
    assert not [one for one in shop.fake.requests if "s3cret" in one]


async def test_a_change_of_its_words_or_of_defaults_is_a_change_of_the_connector(shop: Shop) -> None:
    await shop.until_ready()
    config = {"max.batch.size": "700"}
    shop.apply(CLUSTER, shop.external(connectorDefaults={"postgres": config}))
    await shop.until("the default", lambda: shop.fake.connectors[shop.name].config.get("max.batch.size") == "700")
    other = {"url": shop.fake.url, "secretReference": "${file:/opt/{name}:{key}}"}
    shop.fake.passwords["${file:/opt/shop-db:username}"] = "${file:/opt/shop-db:password}"
    shop.apply(CLUSTER, {"kafka": "kafka", "external": other})
    await shop.until("its words", lambda: "file" in shop.fake.connectors[shop.name].config["database.password"])
    await shop.until_ready()

    assert "max.batch.size" not in shop.fake.connectors[shop.name].config
    assert "defaults" not in read(shop.server, *CONNECTOR, shop.place)["status"]


async def test_a_default_that_it_refuses_changes_nothing(shop: Shop) -> None:
    await shop.until_ready()
    before = dict(shop.fake.connectors[shop.name].config)
    shop.apply(CLUSTER, shop.external(connectorDefaults={"postgres": {"tasks.max": "many"}}))
    await shop.until("a refusal", lambda: shop.told(CONNECTOR, "Accepted")["reason"] == "ValidationFailed")
    await shop.look(2)

    assert shop.fake.connectors[shop.name].config == before
    shop.apply(CLUSTER, shop.external())
    await shop.until_ready()


async def test_a_connector_that_is_deleted_is_removed_there(shop: Shop) -> None:
    await shop.until_ready()
    shop.server.client.delete(*CONNECTOR, shop.place)
    await shop.until("its removal", lambda: shop.name not in shop.fake.connectors)

    assert set(shop.fake.connectors) == {"theirs"}
    assert shop.fake.kept.get(shop.name, []) == []


async def test_a_connectcluster_that_is_deleted_leaves_all_as_it_is(shop: Shop) -> None:
    await shop.until_ready()
    before = len(shop.fake.written())
    shop.server.client.delete(*CLUSTER, shop.place)
    await shop.look(3)

    assert set(shop.fake.connectors) == {"theirs", shop.name}
    assert len(shop.fake.written()) == before


async def test_two_of_one_kafka_connect_remove_nothing_of_one_another(shop: Shop) -> None:
    await shop.until_ready()
    shop.apply(("ConnectCluster", "second"), shop.external())
    for _ in range(4):
        await shop.loop.reconcile(Key("ConnectCluster", shop.place, "second"))

    assert shop.told(("ConnectCluster", "second"))["status"] == "True"
    assert set(shop.fake.connectors) == {"theirs", shop.name}
    assert len(shop.fake.written()) == 1


async def test_it_stays_what_and_where_it_is(shop: Shop) -> None:
    await shop.until_ready()
    for other in ({"kafka": "kafka", "workers": {}}, shop.external(external={"url": "http://elsewhere:8083"})):
        assert "make another ConnectCluster instead" in refusal(partial(shop.apply, CLUSTER, other))


async def test_what_it_lacks_is_said_and_nothing_is_put(shop: Shop) -> None:
    shop.fake.others.clear()
    await shop.until("a refusal", lambda: shop.told(CONNECTOR, "Accepted")["reason"] == "ConnectUnfit")
    assert shop.fake.written() == []
    shop.fake.others["dev.headrace.connect.debezium.OutboxRouter"] = "transformation"
    shop.fake.others["dev.headrace.connect.debezium.PlainConverter"] = "converter"
    await shop.until_ready()
