"""Partitions are read to their ends on a real broker, by a process that stands still or is slow as by any other."""

from __future__ import annotations

import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from headrace.kafka import tails
from headrace.kafka.topics import UnansweredError
from tests.kafka_broker import KafkaBroker
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

COUNT = 3


@pytest.fixture
def topic(kafka_broker: KafkaBroker) -> str:
    """A topic of two partitions with some records each."""
    name = kafka_broker.create_topic(f"log-{uuid.uuid4().hex[:8]}", 2)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for n in range(2 * COUNT):
        producer.produce(name, b"%d" % n, partition=n % 2)
    assert producer.flush(PATIENCE) == 0
    return name


def ends(broker: KafkaBroker, topic: str) -> dict[int, int]:
    """Read both to their ends, and return these."""
    found = tails.read({"bootstrap.servers": broker.bootstrap_servers}, topic, {0: 0, 1: 0}, before=0)
    return {number: stored for number, stored in found if isinstance(stored, int)}


def test_a_process_that_stood_still_is_answered(
    kafka_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, stood = time.monotonic, [0.0]

    class Standing(Consumer):  # type: ignore[misc]
        def poll(self, timeout: float) -> Message | None:
            if not stood[0]:
                stood[0] = 60.0
                return None
            message: Message | None = super().poll(timeout)
            return message

    monkeypatch.setattr(time, "monotonic", lambda: now() + stood[0])
    monkeypatch.setattr(tails, "Consumer", Standing)
    assert ends(kafka_broker, topic) == {0: COUNT, 1: COUNT}


def test_an_end_that_its_leader_says_late_is_asked_for_again(
    kafka_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Late(Consumer):  # type: ignore[misc]
        def get_watermark_offsets(self, partition: TopicPartition, *about: object, **more: object) -> tuple[int, int]:
            asked.append(partition.partition)
            if asked.count(partition.partition) < 3:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            low, high = super().get_watermark_offsets(partition, *about, **more)
            return low, high

    monkeypatch.setattr(tails, "Consumer", Late)
    assert ends(kafka_broker, topic) == {0: COUNT, 1: COUNT}


def test_who_does_not_answer_is_named(kafka_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "ANSWER", 2.0)
    found = tails.read({"bootstrap.servers": kafka_broker.bootstrap_servers}, topic, {0: 0, 1: 0}, before=0)
    next(found)
    with kafka_broker.silent(), pytest.raises(UnansweredError, match=f"{topic}/"):
        list(found)
