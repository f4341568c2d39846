"""Partitions of which nothing is committed, on a real Kafka: read from the first record there is, and at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import config as contract
from headrace.kafka.consumer import Source
from headrace.record import Record
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, make_world
from tests.runtime.test_parking_kafka import HOUR
from tests.waiting import until

pytestmark = pytest.mark.slow

FIRST = 3
ASKS_AGAIN = "starting offset query timer"
"""What the client notes when it asks in half a second once more, as a pause has made the answer outdated."""


def that_tells(world: World) -> contract.Config:
    """Return the Consumer with a client that notes what it does with its partitions."""
    kafka = world.config.kafka.model_copy(update={"properties": {"debug": "topic"}})
    return world.config.model_copy(update={"kafka": kafka})


def read_paused(source: Source, topic: str, count: int) -> list[Record]:
    """Read so many records of two partitions that are paused as soon as they are given, and soon go on."""
    partitions, given, found = [(topic, 0), (topic, 1)], [False], list[Record]()

    def pause(_: object) -> None:
        source.pause(partitions)
        given[0] = True

    def came() -> bool:
        found.extend(source.read(count, 0.1).records)
        if given[0]:
            source.resume(partitions)
        return len(found) >= count

    source.subscribe(assigned=pause, revoked=lambda *_: None, committed=lambda *_: None)
    until("all records", came, every=0)
    return found


def test_a_pause_does_not_delay_the_beginning(
    kafka_broker: KafkaBroker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first record is known before the partition is given to the client; of one partition it is not the first."""
    world = make_world(kafka_broker, tmp_path, retry=HOUR)
    for number in range(2):
        world.produce([("k", n) for n in range(5)], partition=number)
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.source, 0, FIRST)]).values():
        future.result()

    source = Source(that_tells(world))
    found = read_paused(source, world.source, 2 + 5)
    source.close()

    places = sorted((record.partition, record.offset) for record in found)
    assert places == [(0, 3), (0, 4), *((1, n) for n in range(5))]
    told = capfd.readouterr().err
    assert f"Start consuming {world.source} [0] at offset {FIRST}" in told
    assert ASKS_AGAIN not in told
