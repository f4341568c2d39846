"""Topics of routes on a real Kafka, through the operator's loop: a Consumer makes those of its Connector's outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.fakes.connect import fake_connect
from tests.kafka_broker import KafkaBroker
from tests.operator.crowd import LOGIN, MERGE, Patient, make_ready, prepare
from tests.operator.loops import looping
from tests.operator.operator_process import read
from tests.waiting import PATIENCE, look_until

pytestmark = [pytest.mark.slow, pytest.mark.apiserver]

SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "KafkaConnection": ("kafka", {}),
    "ConnectCluster": ("main", {"kafka": "kafka", "workers": {}}),
    "Connector": (
        "orders-db",
        {
            "connect": "main",
            "postgres": {"host": "db", "database": "shop", "credentials": {"secret": "db"}},
            "capture": {"outbox": {"table": "public.outbox"}},
            "topics": {"partitions": 3},
        },
    ),
    "Consumer": (
        "billing",
        {
            "from": {"connector": "orders-db", "routes": ["order", "oder"]},
            "handler": {"http": {"url": "http://billing/"}},
        },
    ),
}


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A whole pipeline in a namespace of its own, and the operator's loop; its workers and pods are ready at once."""

    server: ApiServer
    broker: KafkaBroker
    loop: Loop
    api: Api
    place: str

    def topic(self, route: str) -> str:
        return f"{self.place}.orders-db.outbox.{route}"

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Look at everything until something holds: what Kafka said of ends may be some seconds old."""
        try:
            await look_until(holds, self._tick)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}: {self.condition('Ready')}") from None

    async def _tick(self) -> None:
        for kind, (name, _) in SPECS.items():
            await self.loop.reconcile(Key(kind, self.place, name))
        for one in ((await self.api.get(path("apps/v1", "Deployment", self.place))) or {})["items"]:
            await make_ready(self.api, one)

    def says(self, words: str) -> bool:
        """Tell whether `Ready` or `TopicsReady` of the Consumer has these words for its reason, or in its message."""
        said = [self.condition(kind) for kind in ("Ready", "TopicsReady")]
        return any(words == one.get("reason") or words in one.get("message", "") for one in said)

    def is_ready(self, of: str) -> bool:
        return self.condition("Ready", of).get("status") == "True"

    def condition(self, kind: str, of: str = "Consumer") -> dict[str, Any]:
        status = read(self.server, of.lower(), SPECS[of][0], self.place).get("status", {})
        return next((one for one in status.get("conditions", ()) if one["type"] == kind), {})


@pytest.fixture
async def shop(server: ApiServer, kafka_broker: KafkaBroker) -> AsyncIterator[Shop]:
    """Make the pipeline, which no pass has looked at yet."""
    place = f"captured-{uuid4().hex[:8]}"
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(fake_connect())
        fake.passwords[LOGIN["username"]] = LOGIN["password"]
        fake.secrets = {f"{place}/db:{key}": value for key, value in LOGIN.items()}
        loop = await stack.enter_async_context(looping(server, connect=int(fake.url.rpartition(":")[2])))
        api = Patient(await connection(str(server.kubeconfig)))
        stack.push_async_callback(api.close)
        prepare(server, place)
        for kind, (name, spec) in SPECS.items():
            known = {"bootstrapServers": kafka_broker.bootstrap_servers} if kind == "KafkaConnection" else spec
            body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": known}
            await api.send("POST", path(API_VERSION, kind, place), body=body)
        yield Shop(server=server, broker=kafka_broker, loop=loop, api=api, place=place)
        server.client.delete("namespace", place, wait=False)


async def test_all_is_ready_on_an_empty_database_and_a_route_without_traffic_is_told(shop: Shop) -> None:
    await shop.until("all to be ready", lambda: all(map(shop.is_ready, SPECS)))
    assert [shop.broker.partitions(shop.topic(route)) for route in ("order", "oder")] == [3, 3]
    await shop.until("no record to be told of", lambda: shop.says("NoRecordYet"))

    producer = Producer({"bootstrap.servers": shop.broker.bootstrap_servers})
    producer.produce(shop.topic("order"), b"{}", key=b"1")
    assert producer.flush(PATIENCE) == 0
    unwritten = f"Nothing was ever written to {shop.topic('oder')} (route oder)."
    await shop.until("one route to be told of", lambda: shop.says(unwritten))
    said = shop.condition("TopicsReady")
    assert (said["status"], said["reason"]) == ("True", "NoRecordYet")


async def test_where_kafka_refuses_a_topic_it_is_said_and_awaited(shop: Shop) -> None:
    """By a setting that is none; the Connector, which would fail with its first record, is well until then."""
    edit = {"spec": {"config": {"topic.creation.default.retention.ms": "long"}}}
    await shop.api.send("PATCH", path(API_VERSION, "Connector", shop.place, "orders-db"), body=edit, form=MERGE)
    refused = f"Could not create topic {shop.topic('order')}"
    await shop.until("the refusal to be told", lambda: shop.says(refused) and shop.says("retention.ms"))
    await shop.until("the topic to be awaited", lambda: shop.says("AwaitingTopic"))
    await shop.until("the Connector to be well", lambda: shop.is_ready("Connector"))

    for route in ("order", "oder"):
        shop.broker.create_topic(shop.topic(route), 1)
    await shop.until("the Consumer to be ready", lambda: shop.is_ready("Consumer"))
