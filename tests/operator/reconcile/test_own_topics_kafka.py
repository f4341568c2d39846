"""A Consumer's own topics on a real Kafka, through the operator's loop: mended whoever set them, told where not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AclOperation

from headrace_operator.reconcile import looks
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.consumption import consumer
from tests.operator.operator_process import read
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.apiserver, pytest.mark.case("delivery-2")]

FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A Consumer in a namespace of its own, and the operator's loop."""

    server: ApiServer
    broker: KafkaBroker
    loop: Loop
    place: str

    @property
    def source(self) -> str:
        return f"{self.place}.orders"

    @property
    def retry(self) -> str:
        return f"retry.{self.place}.billing"

    @property
    def dead(self) -> str:
        return f"dlq.{self.place}.billing"

    async def tick(self, times: int = 1) -> None:
        """Make passes over the Consumer; each looks at the topics."""
        for _ in range(times):
            await self.loop.reconcile(Key("Consumer", self.place, "billing"))

    def kept(self) -> dict[str, Any]:
        status = read(self.server, "consumer", "billing", self.place)["status"]
        return next(one for one in status["conditions"] if one["type"] == "TopicsKept")

    def has(self, topic: str, wanted: dict[str, str]) -> bool:
        found = self.broker.settings(topic)
        return all(found[name] == value for name, value in wanted.items())


@pytest.fixture
async def shop(server: ApiServer, kafka_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Make the namespace, a source that takes 3 MB, a compacted dead-letter and a short-lived retry topic."""
    for name in ("RIGHT", "WRONG"):
        monkeypatch.setattr(looks, name, timedelta(0))
    place = f"own-{uuid4().hex[:8]}"
    source = kafka_broker.create_topic(f"{place}.orders", 3, {"max.message.bytes": "3000000"})
    kafka_broker.create_topic(f"dlq.{place}.billing", 3, {"cleanup.policy": "compact"})
    kafka_broker.create_topic(f"retry.{place}.billing", 3, {"retention.ms": "10000"})
    async with consumer(server, kafka_broker, place, source, "http://billing/") as loop:
        yield Shop(server=server, broker=kafka_broker, loop=loop, place=place)


async def test_topics_that_were_there_before_are_mended_and_again_while_running(shop: Shop) -> None:
    large = {"max.message.bytes": str(3_000_000 + 65_536)}
    await shop.tick(2)
    assert shop.has(shop.dead, {"cleanup.policy": "delete", **FOREVER, **large})
    assert shop.has(shop.retry, {"cleanup.policy": "delete", **FOREVER, **large})
    assert shop.has(f"{shop.dead}.resolutions", {"cleanup.policy": "compact", **FOREVER})

    await shop.tick()
    assert shop.kept()["status"] == "True"

    shop.broker.alter(shop.retry, "retention.ms", "10000")
    shop.broker.alter(f"{shop.dead}.resolutions", "cleanup.policy", "delete")
    await shop.tick(2)
    assert shop.has(shop.retry, FOREVER)
    assert shop.has(f"{shop.dead}.resolutions", {"cleanup.policy": "compact"})


async def test_what_waits_in_the_retry_topic_outlasts_the_retention_that_it_had(shop: Shop) -> None:
    """Beside another topic with that retention, whose record is deleted meanwhile."""
    other = shop.broker.create_topic(f"{shop.place}.other", 1, {"retention.ms": "10000"})
    await shop.tick(2)
    producer = Producer({"bootstrap.servers": shop.broker.bootstrap_servers})
    for topic in (shop.retry, other):
        producer.produce(topic, b"value", key=b"k", partition=0)
    assert producer.flush(PATIENCE) == 0
    client = Consumer({"bootstrap.servers": shop.broker.bootstrap_servers, "group.id": "ends"})

    def held(topic: str) -> tuple[int, int]:
        start, end = client.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE)
        return int(start), int(end)

    until("the other topic's record is deleted", lambda: held(other) == (1, 1))
    assert held(shop.retry) == (0, 1)
    client.close()


async def test_what_the_login_may_not_mend_is_told(shop: Shop) -> None:
    """It may read the settings of the dead-letter topic, but not alter them."""
    may = (AclOperation.DESCRIBE, AclOperation.READ, AclOperation.DESCRIBE_CONFIGS)
    shop.broker.allow_only(shop.dead, *may)
    await shop.tick(3)
    assert shop.kept()["reason"] == "SettingsDiffer"
    assert f"{shop.dead} has cleanup.policy=compact where delete is needed" in shop.kept()["message"]
    status = read(shop.server, "consumer", "billing", shop.place)["status"]
    said = next(one for one in status["conditions"] if one["type"] == "Reconciling")
    assert said["message"].startswith(f"Could not set cleanup.policy=delete, retention.ms=-1 of topic {shop.dead}")
    assert "Topic authorization failed" in said["message"]


@pytest.mark.case("delivery-15")
async def test_own_topics_grow_with_the_source_while_it_is_read(shop: Shop) -> None:
    """Once by the operator; where the login may not, it is told how many partitions are missing."""
    await shop.tick(3)
    shop.broker.grow(shop.source, 6)
    await shop.tick(3)
    assert [shop.broker.partitions(topic) for topic in (shop.retry, shop.dead)] == [6, 6]
    assert shop.kept()["status"] == "True"

    shop.broker.allow_only(shop.retry, AclOperation.DESCRIBE, AclOperation.READ, AclOperation.DESCRIBE_CONFIGS)
    shop.broker.grow(shop.source, 7)
    await shop.tick(3)
    assert f"{shop.retry} has 6 partitions where its source has 7" in shop.kept()["message"]
    assert "Alter on the topic" in shop.kept()["message"]


@pytest.mark.case("delivery-15")
async def test_a_retry_topic_that_was_there_with_too_few_partitions_is_grown(shop: Shop) -> None:
    """Before anything was read; another topic's settings are mended all the same."""
    shop.broker.grow(shop.source, 4)
    await shop.tick(3)
    assert [shop.broker.partitions(topic) for topic in (shop.retry, shop.dead)] == [4, 4]
    assert shop.has(shop.dead, {"cleanup.policy": "delete", **FOREVER})


async def test_what_may_not_be_read_is_not_taken_for_right(shop: Shop) -> None:
    await shop.tick()
    own = (shop.retry, shop.dead, f"{shop.dead}.resolutions")
    for topic in own:
        shop.broker.allow_only(topic, AclOperation.DESCRIBE, AclOperation.READ)
    await shop.tick(2)
    assert (shop.kept()["status"], shop.kept()["reason"]) == ("Unknown", "SettingsUnknown")
    assert all(f"{topic}: Kafka kafka at" in shop.kept()["message"] for topic in own)
    assert "Topic authorization failed" in shop.kept()["message"]
