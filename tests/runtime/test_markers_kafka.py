"""Transaction markers at the end of a partition: an idle consumer has no lag, and says so only once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace.worker.load import EVERY
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


def transaction(broker: KafkaBroker, topic: str, partition: int, values: list[bytes], *, commit: bool = True) -> None:
    """Write ``values`` in one transaction, which leaves a marker behind."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": f"{topic}-{partition}"})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, key=b"k", partition=partition)
    producer.flush(PATIENCE)
    producer.commit_transaction(PATIENCE) if commit else producer.abort_transaction(PATIENCE)


def forget_before(broker: KafkaBroker, topic: str, partition: int, offset: int) -> None:
    """Remove the records before ``offset``, as retention does."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
        future.result(timeout=PATIENCE)


def everything_committed(world: World) -> bool:
    topics = (world.source, world.config.topics.retry)
    return all(len(world.committed(topic)) == 3 for topic in topics) and world.lag() == 0


def rests(running: Running) -> bool:
    """Whether a process commits nothing for as long as it would report twice that it is idle."""
    commits = running.metric("headrace_consumer_commits_total")
    time.sleep(2.5 * EVERY)
    return running.metric("headrace_consumer_commits_total") == commits


def test_markers_are_no_lag(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=3)
    retry = world.config.topics.retry
    transaction(kafka_broker, retry, 0, [b'{"n": 0}'])
    transaction(kafka_broker, retry, 1, [b"{}", b"{}"], commit=False)
    transaction(kafka_broker, world.source, 2, [b"{}"], commit=False)
    forget_before(kafka_broker, world.source, 2, 1)  # what is left is the marker
    with consuming(world) as running:
        until("the one record", lambda: len(world.effects()) == 1)
        until("no lag", lambda: everything_committed(world))
        until("the markers", lambda: world.committed(retry) == {0: 2, 1: 3, 2: 0})
        until("that of the source", lambda: world.committed() == {0: 0, 1: 0, 2: 2})
        transaction(kafka_broker, retry, 0, [b'{"n": 1}'])
        until("no lag after the next one", lambda: world.committed(retry)[0] == 4)
        assert running.stop() == 0
    assert len(world.effects()) == 2


def test_an_idle_consumer_commits_nothing(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """But once that it is idle; and at its start, for each partition, whose parked records count."""
    world = make_world(kafka_broker, tmp_path, partitions=3)
    transaction(kafka_broker, world.config.topics.retry, 0, [b"{}"])
    with consuming(world) as running:
        until("no lag", lambda: everything_committed(world))
        assert running.stop() == 0
    with consuming(world) as running:
        until("its report that it is idle", lambda: (load := world.told().load) and load.pod == running.pod)
        until("commits no more", lambda: rests(running))
        assert running.metric("headrace_consumer_commits_total") <= 4
        world.produce([("k", {"n": 1})], partition=2)
        until("the commit of a record", lambda: world.committed()[2] == 1)
        assert running.stop() == 0
