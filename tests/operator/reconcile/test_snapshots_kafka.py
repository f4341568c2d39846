"""A Snapshot on a real API server and a real Kafka, through the operator's loop; a test tells what Debezium would."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator import snapshot_worlds, worlds
from tests.operator.loops import look, looping, until
from tests.runtime.consumer_process import read_topic
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.apiserver, pytest.mark.case("databases-5")]

TABLE = "public.outbox"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A namespace with a Connector that listens, and the operator's loop."""

    server: ApiServer
    broker: KafkaBroker
    loop: Loop
    place: str

    @property
    def prefix(self) -> str:
        return f"{self.place}.orders-db"

    @property
    def key(self) -> Key:
        return Key("Snapshot", self.place, "earlier")

    def apply(self, kind: str, name: str, spec: Any, status: Any = None) -> None:
        self.server.client.apply(
            {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}, self.place
        )
        if status is not None:
            self.server.client.patch(kind, name, {"status": status}, self.place, part="status")

    def status(self) -> dict[str, Any]:
        found = self.server.client.get("Snapshot", "earlier", self.place)
        return dict(found["status"])

    def tell(self, id: str, event: str, **data: str) -> None:
        """Write a notification as Debezium does."""
        told: dict[str, Any] = {"id": id, "aggregate_type": "Incremental Snapshot", "type": event}
        told["timestamp"] = int(time.time() * 1000)
        client = Producer({"bootstrap.servers": self.broker.bootstrap_servers})
        client.produce(f"{self.prefix}.notifications", json.dumps(told | {"additional_data": data}))
        assert client.flush(PATIENCE) == 0

    async def until(self, phase: str) -> None:
        await until(phase, lambda: self.status().get("phase") == phase, self.loop, self.key)


@pytest.fixture
async def shop(server: ApiServer, kafka_broker: KafkaBroker) -> AsyncIterator[Shop]:
    """Make all that a Snapshot needs, as Headrace would have made it."""
    place = f"snap-{uuid4().hex[:8]}"
    server.client.create_namespace(place)
    async with looping(server, me=place) as loop:
        made = Shop(server=server, broker=kafka_broker, loop=loop, place=place)
        kafka = {"bootstrapServers": kafka_broker.bootstrap_servers}
        accepted = {"accepted": {"generation": 1, "spec": kafka}, "observedGeneration": 1}
        made.apply("KafkaConnection", "kafka", kafka, accepted)
        made.apply("ConnectCluster", "main", worlds.CONNECT.spec)
        told: dict[str, Any] = {**snapshot_worlds.listening().status, "topicPrefix": made.prefix}
        made.apply("Connector", "orders-db", worlds.CONNECTOR.spec, told)
        for topic in ("signals", "notifications"):
            kafka_broker.create_topic(f"{made.prefix}.{topic}")
        yield made


def count(shop: Shop) -> int:
    """Return how many signals there are."""
    client = Consumer({"bootstrap.servers": shop.broker.bootstrap_servers, "group.id": "count"})
    try:
        return int(client.get_watermark_offsets(TopicPartition(f"{shop.prefix}.signals", 0), timeout=PATIENCE)[1])
    finally:
        client.close()


def sent(shop: Shop, count: int) -> list[tuple[bytes | None, Any]]:
    """Wait for so many signals and return key and value of each."""
    return [
        (one.key(), json.loads(one.value() or b"")) for one in read_topic(shop.broker, f"{shop.prefix}.signals", count)
    ]


async def test_it_is_asked_for_once_and_its_status_follows_what_is_told(shop: Shop) -> None:
    """What is recorded is what the definitions keep: nothing of it is lost on the way."""
    shop.tell("headrace-of-before", "STARTED")
    shop.apply("Snapshot", "earlier", worlds.SNAPSHOT.spec)
    await shop.until("Requested")
    requested = shop.status()
    await look(shop.loop, shop.key, times=3)
    ((key, signal),) = sent(shop, 1)
    shop.tell(signal["id"], "STARTED")
    await shop.until("Running")
    shop.tell(
        signal["id"], "TABLE_SCAN_COMPLETED", scanned_collection=TABLE, status="SUCCEEDED", total_rows_scanned="7"
    )
    shop.tell(signal["id"], "COMPLETED")
    await shop.until("Completed")
    await look(shop.loop, shop.key, times=2)

    assert (key, signal["type"]) == (shop.prefix.encode(), "execute-snapshot")
    assert requested["id"] == signal["id"]
    assert (requested["signal"]["offset"], requested["heard"]["next"]) == (0, 1)
    done = shop.status()
    assert (done["rows"], done["tablesDone"], done["tables"][0]["result"]) == (7, "1/1", "SUCCEEDED")
    assert {one["type"]: one["status"] for one in done["conditions"]} == {
        "Ready": "True",
        "Accepted": "True",
        "Completed": "True",
    }
    assert count(shop) == 1


async def test_what_was_recorded_and_could_not_be_sent_is_sent_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the operator ends between the two: the status is there, the topic has nothing."""

    async def fails(*_: Any) -> None:
        raise Unreachable("Kafka is away.")

    with monkeypatch.context() as patch:
        patch.setattr(Kafka, "send", fails)
        shop.apply("Snapshot", "earlier", worlds.SNAPSHOT.spec)
        await shop.until("Requested")
    assert shop.status()["phase"] == "Requested"
    await until("a signal", lambda: count(shop) > 0, shop.loop, shop.key)
    await look(shop.loop, shop.key, times=3)

    assert [value["type"] for _, value in sent(shop, 1)] == ["execute-snapshot"]
    shop.tell(shop.status()["id"], "STARTED")
    await shop.until("Running")
    assert count(shop) == 1
