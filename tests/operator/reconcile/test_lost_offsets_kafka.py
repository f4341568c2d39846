"""Offsets that no longer exist, as the operator sees them on a real Kafka, with no pod to tell it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import names
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import PartitionSeen
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe import backlog as observe
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import write_commits
from tests.operator import worlds
from tests.operator.asking import answered
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-20")]


class Shop:
    """A Consumer `billing` of a topic with two partitions of ten records each, of which it committed offsets."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.connection = {"bootstrap.servers": broker.bootstrap_servers}
        self.consumer = worlds.resource("Consumer", f"billing-{uuid4().hex[:8]}", {})
        self.group = names.group("shop", self.consumer.name)
        self.topic = broker.create_topic(f"{self.consumer.name}.orders", 2)
        self.retry = broker.create_topic(names.retry_topic("shop", self.consumer.name), 2)
        self.kafka = Kafka("kafka", self.connection)
        producer = Producer(self.connection)
        for topic in (self.topic, self.retry):
            for number in range(20):
                producer.produce(topic, b"{}", partition=number % 2)
        assert producer.flush(PATIENCE) == 0

    def commit(self, topic: str, *offsets: int) -> None:
        """Commit offsets of the partitions of a topic."""
        places = [TopicPartition(topic, number, offset) for number, offset in enumerate(offsets)]
        write_commits(self.connection, self.group, places)

    def delete_before(self, topic: str, offset: int) -> None:
        """Let the log of partition 0 begin at ``offset``."""
        admin = AdminClient(self.connection)
        for future in admin.delete_records([TopicPartition(topic, 0, offset)]).values():
            future.result(timeout=PATIENCE)

    async def seen(self, topic: str) -> list[PartitionSeen]:
        """Return what a look sees of a topic's partitions, of which it knows both."""
        return await answered(lambda: self._look(topic), lambda found: len(found) == 2)

    async def _look(self, topic: str) -> list[PartitionSeen]:
        topics = await self.kafka.topics((self.topic, self.retry))
        seen = await observe.backlog(self.consumer, self.kafka, topics, History(), datetime.now(UTC))
        return [part for part in seen.partitions if part.topic == topic]


@pytest.fixture
async def shop(kafka_broker: KafkaBroker) -> AsyncIterator[Shop]:
    made = Shop(kafka_broker)
    await answered(lambda: made.kafka.committed(made.group, [(made.topic, 0)]))
    yield made
    made.kafka.close()


async def test_one_that_retention_passed(shop: Shop) -> None:
    shop.commit(shop.topic, 3, 3)
    assert [part.lost for part in await shop.seen(shop.topic)] == [False, False]

    shop.delete_before(shop.topic, 7)
    passed, kept = await shop.seen(shop.topic)
    assert (passed.lost, passed.committed, passed.start, passed.end, passed.lag) == (True, 3, 7, 10, 3)
    assert (kept.lost, kept.lag) == (False, 7)

    shop.delete_before(shop.topic, 10)
    emptied, _ = await shop.seen(shop.topic)
    assert (emptied.lost, emptied.told_lag, emptied.lag_seconds) == (True, None, None)

    shop.commit(shop.topic, 10, 3)
    assert [part.lost for part in await shop.seen(shop.topic)] == [False, False]


async def test_one_that_the_log_has_not_reached(shop: Shop) -> None:
    shop.commit(shop.topic, 11, 10)

    beyond, reached = await shop.seen(shop.topic)

    assert (beyond.lost, beyond.committed, beyond.lag) == (True, 11, 10)
    assert (reached.lost, reached.told_lag) == (False, 0)


async def test_one_of_the_retry_topic(shop: Shop) -> None:
    """What waits there is counted by reading, from the beginning of what there is."""
    shop.commit(shop.retry, 100, 10)
    counted = [(True, 10), (False, 0)]
    await answered(lambda: shop.seen(shop.retry), lambda seen: [(part.lost, part.lag) for part in seen] == counted)
