"""One way to hold a fake Kafka and the real one: a client, and topics of which a group has read all."""

from __future__ import annotations

import itertools
from typing import Protocol

from confluent_kafka import Producer, TopicPartition

from headrace_operator.clients.kafka import Kafka
from tests.fakes.kafka import END, PARTITIONS, FakeKafka
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import write_commits
from tests.waiting import PATIENCE

GROUP = "headrace.contract"
"""The group that has read all there is."""

_numbers = itertools.count()


class Bench(Protocol):
    """A Kafka as the operator's client shows it."""

    kafka: Kafka

    def source(self) -> str:
        """Return the name of a topic with records, which `GROUP` has read to their end."""


def new_name() -> str:
    """Return a name for a topic of Headrace's own that nobody made."""
    return f"retry.contract.{next(_numbers)}"


class FakeBench:
    """The fake, in which every topic is there."""

    def __init__(self) -> None:
        self.kafka: Kafka = FakeKafka("kafka", {"bootstrap.servers": "kafka:9092"})

    def source(self) -> str:
        return f"contract.{next(_numbers)}"


class RealBench:
    """A real broker, whose topics hold what the fake says."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker
        self._properties = {"bootstrap.servers": broker.bootstrap_servers}
        self.kafka = Kafka("kafka", self._properties)

    def source(self) -> str:
        name = self._broker.create_topic(f"contract.{next(_numbers)}", PARTITIONS)
        producer = Producer(self._properties)
        for partition, _ in itertools.product(range(PARTITIONS), range(END)):
            producer.produce(name, b"value", partition=partition)
        assert producer.flush(PATIENCE) == 0
        self._read(name)
        return name

    def _read(self, topic: str) -> None:
        ends = [TopicPartition(topic, partition, END) for partition in range(PARTITIONS)]
        write_commits(self._properties, GROUP, ends)
