"""The Kafka client against a real broker, and against none."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.kafka import Kafka
from tests.kafka_broker import KafkaBroker, kafka_broker  # noqa: F401


@pytest.mark.slow
async def test_it_reads_topics_and_offsets(kafka_broker: KafkaBroker) -> None:  # noqa: F811
    """A topic is made once, its ends and the group's offsets are read, one that is missing is left out."""
    kafka = Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})
    assert (await kafka.cluster()).brokers == 1
    await kafka.create("orders", 2, {})
    await kafka.create("orders", 2, {})
    await _settled(kafka)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for number in range(3):
        producer.produce("orders", str(number).encode(), partition=1)
    assert producer.flush(10) == 0
    consumer = Consumer({"bootstrap.servers": kafka_broker.bootstrap_servers, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition("orders", 1, 2)], asynchronous=False)
    consumer.close()

    every = [("orders", 0), ("orders", 1)]
    assert set(await kafka.topics(["orders", "none"])) == {"orders"}
    assert await kafka.offsets(every) == {("orders", 0): (0, 0), ("orders", 1): (0, 3)}
    assert await kafka.committed("g", every) == {("orders", 1): 2}
    assert await kafka.committed("nobody", every) == {}
    kafka.close()


async def test_a_dead_kafka_costs_seconds_once() -> None:
    """It fails within its deadline, and then at once for a while, with the same sentence."""
    kafka = Kafka("kafka", {"bootstrap.servers": "127.0.0.1:1"})
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="Connection refused") as first:
        await kafka.cluster()
    middle = time.monotonic()
    with pytest.raises(Unreachable) as again:
        await kafka.topics(["orders"])
    assert middle - begun < 7
    assert time.monotonic() - middle < 0.5
    assert str(first.value) == str(again.value)
    kafka.close()


async def _settled(kafka: Kafka) -> None:
    end = time.monotonic() + 10
    while "orders" not in await kafka.topics(["orders"]):
        assert time.monotonic() < end
