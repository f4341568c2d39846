"""Questions to Kafka that may as well be asked later: what is not answered soon is not known.

Whoever asks is the poll thread, so each question has seconds, for all that is asked in one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headrace.flow.offsets import Span
from headrace.flow.partitions import Partition

log = logging.getLogger(__name__)

GLANCE = 2.0
"""Seconds Kafka has to answer."""

LEAST = 0.01


def bounds(client: Consumer, partitions: Iterable[Partition], which: int) -> dict[Partition, int]:
    """Return where partitions begin or end, as ``which`` says; without those of which that is not known."""
    asked = [TopicPartition(*partition, which) for partition in partitions]
    try:
        found = client.offsets_for_times(asked, timeout=GLANCE) if asked else []
    except KafkaException as error:
        log.info("where partitions begin or end is not known: %s", error.args[0].str())
        return {}
    return {(one.topic, one.partition): one.offset for one in found if one.error is None and one.offset >= 0}


def span(client: Consumer, partition: Partition) -> Span | None:
    """Return the offsets that the log of ``partition`` has and that can be read now; None when nobody answers."""
    try:
        return Span(*client.get_watermark_offsets(TopicPartition(*partition), timeout=GLANCE))
    except KafkaException as error:
        log.warning("what the log of %s/%d has is not known: %s", *partition, error.args[0].str())
        return None


def counts(client: Consumer, topics: Iterable[str]) -> dict[str, int] | None:
    """Return how many partitions each topic has that exists; None when that is not answered for all."""
    deadline = time.monotonic() + GLANCE
    try:
        found = {topic: client.list_topics(topic, timeout=_left(deadline)).topics[topic] for topic in topics}
    except KafkaException as error:
        log.info("the numbers of partitions are not known: %s", error.args[0].str())
        return None
    return {topic: len(one.partitions) for topic, one in found.items() if one.error is None}


def _left(deadline: float) -> float:
    return max(LEAST, deadline - time.monotonic())
