"""A topic that is taken out of a Consumer, with a real Kafka and a real API server: not while records wait in it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition

from headrace import names
from headrace_operator.api.schema import API_VERSION
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import write_commits
from tests.operator import loops
from tests.operator.operator_process import read
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

KINDS = {"KafkaConnection": "kafkaconnections.headrace.dev", "Consumer": "consumers.headrace.dev"}
RECORDS = 39


@pytest.fixture
def name(server: ApiServer, kafka_broker: KafkaBroker) -> Iterator[str]:
    """Give the name of a Consumer, its KafkaConnection and its two topics, one of which has records."""
    made = f"leaving-{uuid4().hex[:6]}"
    for topic in (f"{made}.kept", f"{made}.left"):
        kafka_broker.create_topic(topic, 3)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for number in range(RECORDS):
        producer.produce(f"{made}.left", b"x", partition=number % 3)
    assert producer.flush(PATIENCE) == 0
    put(server, "KafkaConnection", made, {"bootstrapServers": kafka_broker.bootstrap_servers})
    yield made
    for kind in KINDS.values():
        server.client.delete(kind, made, "shop")


def put(server: ApiServer, kind: str, name: str, spec: dict[str, object]) -> None:
    metadata = {"name": name, "namespace": "shop"}
    whole = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    server.client.apply(whole)


def reads(server: ApiServer, name: str, *topics: str) -> None:
    source = {"kafka": name, "topics": [f"{name}.{topic}" for topic in topics]}
    put(server, "Consumer", name, {"from": source, "handler": {"http": {"url": "http://web/"}}})


async def until_accepted(server: ApiServer, loop: Loop, name: str, words: str, records: int, *topics: str) -> None:
    """Make passes until one pod reads the topics, with so many records, and the spec is spoken of so."""
    wanted = [f"{name}.{topic}" for topic in topics]

    def is_so() -> bool:
        status = read(server, KINDS["Consumer"], name)["status"]
        said = [
            f"{one['status']} {one['message']}" for one in status.get("conditions", ()) if one["type"] == "Accepted"
        ]
        lag = status.get("lag", {}).get("records")
        seen = (status.get("replicas"), lag, status.get("topics"))
        return words in "".join(said) and seen == (1, records, wanted)

    await loops.until(f"{words} and {wanted}", is_so, loop, *(Key(kind, "shop", name) for kind in KINDS))


def handle_all(broker: KafkaBroker, name: str) -> None:
    """Commit the end of the topic that shall be left, as the Consumer's pods would."""
    group = names.group("shop", name)
    done = [TopicPartition(f"{name}.left", number, RECORDS // 3) for number in range(3)]
    write_commits({"bootstrap.servers": broker.bootstrap_servers}, group, done)


@pytest.mark.case("clusters-12")
async def test_a_topic_leaves_once_its_records_are_handled(
    server: ApiServer, kafka_broker: KafkaBroker, name: str
) -> None:
    async with loops.looping(server) as loop:
        reads(server, name, "kept", "left")
        await until_accepted(server, loop, name, "True", RECORDS, "kept", "left")
        reads(server, name, "kept")
        await until_accepted(server, loop, name, f"{RECORDS} in {name}.left", RECORDS, "kept", "left")
        handle_all(kafka_broker, name)
        await until_accepted(server, loop, name, "True", 0, "kept")
