"""A Consumer's own topics on a real Kafka, through the operator's loop: mended whoever set them, told where not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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
from tests.operator import loops
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

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Make passes over the Consumer, each of which looks at the topics, until something holds."""
        await loops.until(what, holds, self.loop, Key("Consumer", self.place, "billing"))

    def kept(self) -> tuple[str, str]:
        """Return status and reason of what is said of the topics."""
        said = self.said("TopicsKept")
        return said["status"], said["reason"]

    def said(self, kind: str) -> dict[str, Any]:
        """Return a condition, with nothing in it where there is none."""
        found = read(self.server, "consumer", "billing", self.place)["status"].get("conditions", ())
        none = dict.fromkeys(("status", "reason", "message"), "")
        return next((one for one in found if one["type"] == kind), none)

    def own_partitions(self) -> list[int]:
        return [self.broker.partitions(topic) for topic in (self.retry, self.dead)]

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
    resolutions = f"{shop.dead}.resolutions"
    await shop.until("all to be kept", lambda: shop.kept()[0] == "True")
    assert shop.has(shop.dead, {"cleanup.policy": "delete", **FOREVER, **large})
    assert shop.has(shop.retry, {"cleanup.policy": "delete", **FOREVER, **large})
    assert shop.has(resolutions, {"cleanup.policy": "compact", **FOREVER})

    shop.broker.alter(shop.retry, "retention.ms", "10000")
    shop.broker.alter(resolutions, "cleanup.policy", "delete")
    await shop.until("the retry topic mended", lambda: shop.has(shop.retry, FOREVER))
    await shop.until("the resolutions mended", lambda: shop.has(resolutions, {"cleanup.policy": "compact"}))


async def test_what_waits_in_the_retry_topic_outlasts_the_retention_that_it_had(shop: Shop) -> None:
    """Beside another topic with that retention, whose record is deleted meanwhile."""
    other = shop.broker.create_topic(f"{shop.place}.other", 1, {"retention.ms": "10000"})
    await shop.until("the retry topic mended", lambda: shop.has(shop.retry, FOREVER))
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
    await shop.until("it is told", lambda: "Topic authorization failed" in shop.said("Reconciling")["message"])
    tried = f"Could not set cleanup.policy=delete, retention.ms=-1 of topic {shop.dead}"
    assert shop.said("Reconciling")["message"].startswith(tried)
    await shop.until("what differs is told", lambda: shop.kept()[1] == "SettingsDiffer")
    wrong = f"{shop.dead} has cleanup.policy=compact where delete is needed"
    await shop.until("how it differs is told", lambda: wrong in shop.said("TopicsKept")["message"])


@pytest.mark.case("delivery-15")
async def test_own_topics_grow_with_the_source_while_it_is_read(shop: Shop) -> None:
    """Once by the operator; where the login may not, it is told how many partitions are missing."""
    await shop.until("all to be kept", lambda: shop.kept()[0] == "True")
    shop.broker.grow(shop.source, 6)
    await shop.until("six of each", lambda: shop.own_partitions() == [6, 6])
    await shop.until("all to be kept again", lambda: shop.kept()[0] == "True")

    shop.broker.allow_only(shop.retry, AclOperation.DESCRIBE, AclOperation.READ, AclOperation.DESCRIBE_CONFIGS)
    shop.broker.grow(shop.source, 7)
    missing = f"{shop.retry} has 6 partitions where its source has 7"
    await shop.until("what is missing is told", lambda: missing in shop.said("TopicsKept")["message"])
    assert "Alter on the topic" in shop.said("TopicsKept")["message"]


@pytest.mark.case("delivery-15")
async def test_a_retry_topic_that_was_there_with_too_few_partitions_is_grown(shop: Shop) -> None:
    """Before anything was read; another topic's settings are mended all the same."""
    shop.broker.grow(shop.source, 4)
    await shop.until("four of each", lambda: shop.own_partitions() == [4, 4])
    await shop.until("the other mended", lambda: shop.has(shop.dead, {"cleanup.policy": "delete", **FOREVER}))


async def test_what_may_not_be_read_is_not_taken_for_right(shop: Shop) -> None:
    await shop.until("all to be there", lambda: bool(shop.kept()[0]))
    own = (shop.retry, shop.dead, f"{shop.dead}.resolutions")
    for topic in own:
        shop.broker.allow_only(topic, AclOperation.DESCRIBE, AclOperation.READ)

    def are_told() -> bool:
        return all(f"{topic}: Kafka kafka at" in shop.said("TopicsKept")["message"] for topic in own)

    await shop.until("each to be told", are_told)
    assert shop.kept() == ("Unknown", "SettingsUnknown")
    assert "Topic authorization failed" in shop.said("TopicsKept")["message"]
