"""A log is read to the end that it was said to have, also from a new leader that does not know of that yet."""

from __future__ import annotations

import time
import uuid

import pytest
from confluent_kafka import Message, Producer

from headrace.flow.offsets import Span
from headrace.kafka import topics
from headrace.kafka.topics import Errors, Reader, UnansweredError
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import hide
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

is_end = topics._is_end


def write(broker: KafkaBroker, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for n in range(count):
        producer.produce(topic, b"%d" % n, partition=0)
    assert producer.flush(PATIENCE) == 0


@pytest.fixture
def topic(kafka_broker: KafkaBroker) -> str:
    """A log that seems to end after three records."""
    name = f"log-{uuid.uuid4().hex[:8]}"
    kafka_broker.create_topic(name, 1)
    write(kafka_broker, name, 3)
    return name


def test_what_shows_after_its_end_was_said_is_read(
    kafka_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[int] = []

    def then(message: Message, about: str, seen: Errors) -> bool:
        found = is_end(message, about, seen)
        if found and not ends:
            write(kafka_broker, topic, 2)
        ends.extend([int(message.offset() or 0)] if found else [])
        return found

    monkeypatch.setattr(topics, "_is_end", then)
    with Reader({"bootstrap.servers": kafka_broker.bootstrap_servers}) as reader:
        assert [one.offset for one in reader.read(topic, 0, Span(0, 5))] == list(range(5))
    assert ends[:1] == [3]


def test_what_does_not_show_is_not_taken_for_nothing(
    kafka_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "ANSWER", 2.0)
    with Reader({"bootstrap.servers": kafka_broker.bootstrap_servers}) as reader:
        found = reader.read(topic, 0, Span(0, 5))
        assert [next(found).offset for _ in range(3)] == [0, 1, 2]
        with pytest.raises(UnansweredError):
            next(found)


def test_whoever_takes_long_over_a_record_is_given_the_next_one(
    kafka_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person who looks at a page of what is listed, or a process that stands still."""
    with Reader({"bootstrap.servers": kafka_broker.bootstrap_servers}) as reader:
        found = reader.read(topic, 0, Span(0, 3))
        first, now = next(found), time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + 60)
        assert [one.offset for one in (first, *found)] == [0, 1, 2]


def test_what_was_rolled_back_is_no_end_that_is_missing(kafka_broker: KafkaBroker, topic: str) -> None:
    servers = {"bootstrap.servers": kafka_broker.bootstrap_servers}
    hide(servers, topic).abort_transaction(PATIENCE)
    with Reader(servers) as reader:
        until("the marker, which is written after that", lambda: reader.spans(topic)[0].end == 5)
        assert [one.offset for one in reader.read(topic, 0, Span(0, 5))] == [0, 1, 2]
