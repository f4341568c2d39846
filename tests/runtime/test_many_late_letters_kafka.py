"""More dead letters come late than a client holds, on a real broker: all are given their resolution, some at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Producer, TopicPartition

from headrace import headers
from headrace.config import Config, Kafka, Topics
from headrace.failure import Failure, Reason
from headrace.flow.ownership import Owners
from headrace.kafka import connection
from headrace.kafka.topics import FencedError, Reader
from headrace.letters import late, reading
from headrace.letters.late import Look, pass_over
from headrace.letters.resolutions import is_late
from headrace.progress import Parker
from headrace.record import Record
from tests.kafka_broker import KafkaBroker
from tests.runtime.configs import BILLING
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-1")]

COUNT = 3_000
QUEUE = {"queue.buffering.max.messages": "2000"}
OWNERS = {("orders", 0): Owners(((Parker(0, "mine", 0),),))}


@pytest.fixture
def config(kafka_broker: KafkaBroker) -> Config:
    """A Consumer with dead letters that somebody wrote late, whose client holds few of them."""
    name = uuid.uuid4().hex[:8]
    topics = Topics(sources=("orders",), retry=f"r{name}", dead_letters=f"d{name}", resolutions=f"s{name}")
    kafka = Kafka(bootstrap_servers=kafka_broker.bootstrap_servers, properties=QUEUE)
    kafka_broker.create_topic(topics.dead_letters, 1)
    kafka_broker.create_topic(topics.resolutions, 1)
    made = BILLING.model_copy(update={"group": f"headrace.shop.{name}", "topics": topics, "kafka": kafka})
    write(made)
    return made


def write(config: Config) -> None:
    producer = Producer({"bootstrap.servers": config.kafka.bootstrap_servers})
    for offset in range(COUNT):
        record = Record(topic="orders", partition=0, offset=offset, key=b"a", value=b"v", timestamp=1)
        own = headers.for_dead_letter(record, failure(config.group))
        producer.produce(config.topics.dead_letters, key=b"a", value=b"v", headers=list(own), partition=0)
    assert producer.flush(PATIENCE) == 0


def failure(group: str) -> Failure:
    return Failure(
        group=group,
        reason=Reason.KEY_PARKED,
        attempts=1,
        message="x",
        exception="E",
        first_failed_at=1.0,
        last_failed_at=1.0,
        parks_key="another",
    )


def passed_over(config: Config, start: int = 0, may: Callable[[], bool] = lambda: True) -> list[Look]:
    with Reader(connection.properties(config.kafka), group=config.group) as reader:
        return pass_over(reader, config, [Look(0, start, OWNERS, may)])


def resolved(config: Config) -> set[int]:
    """The offsets of the letters that are told to be late."""
    with Reader(connection.properties(config.kafka)) as reader:
        topics = config.topics
        found = reading.resolutions(reader, topics, reader.id(topics.dead_letters), is_late)
    return {place.offset for place, was_late in found.items() if was_late}


def test_all_of_them_are_passed_over(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "MOST", 700)
    assert [one.start for one in passed_over(config)] == [COUNT]
    assert resolved(config) == set(range(COUNT))


def test_who_loses_its_partitions_amid_them_writes_no_more_and_the_next_one_the_rest(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "BATCH", 500)
    times = iter([True, True, False])
    with pytest.raises(FencedError):
        passed_over(config, may=lambda: next(times))
    assert resolved(config) == set(range(1000))
    with Reader(connection.properties(config.kafka)) as reader:
        before = reader.spans(config.topics.resolutions)[0].end
        passed_over(config)
        assert resolved(config) == set(range(COUNT))
        markers = 4
        assert reader.spans(config.topics.resolutions)[0].end == before + COUNT - 1000 + markers


def test_what_is_deleted_meanwhile_is_asked_for_no_more(config: Config, kafka_broker: KafkaBroker) -> None:
    """As retention does, or a person."""
    gone = TopicPartition(config.topics.dead_letters, 0, COUNT // 2)
    for made in kafka_broker.admin.delete_records([gone]).values():
        made.result(timeout=PATIENCE)
    with Reader(connection.properties(config.kafka)) as reader:
        until("it to be gone", lambda: reader.spans(config.topics.dead_letters)[0].start == COUNT // 2)
    assert [one.start for one in passed_over(config)] == [COUNT]
    assert resolved(config) == set(range(COUNT // 2, COUNT))
