"""A broker that has just begun does not know a topic yet that is there: what waits of its keys waits on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import consuming
from tests.runtime.test_sequences_kafka import discard_heads, letters, live, make, numbers
from tests.waiting import until

pytestmark = pytest.mark.slow

NOT_KNOWN_AT_FIRST = """
from headrace.kafka.topics import Reader, TopicMissingError
count, asked = Reader.count, []
def missing(self, topic):
    asked.append(topic)
    if topic.startswith("{prefix}") and asked.count(topic) == 1:
        raise TopicMissingError(topic)
    return count(self, topic)
Reader.count = missing
"""


@pytest.mark.case("delivery-16")
@pytest.mark.parametrize("prefix", ["retry.", "shop."])
def test_keys_wait_on_where_a_topic_seems_to_be_missing(kafka_broker: KafkaBroker, tmp_path: Path, prefix: str) -> None:
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(10)])
    with consuming(world) as running:
        until("committed", lambda: len(letters(world)) == 10 and world.committed() == {0: 10})
        running.process.kill()
    world.produce([("a", {"n": n}) for n in range(10, 20)])
    with consuming(world, before=NOT_KNOWN_AT_FIRST.format(prefix=prefix)) as running:
        until("what comes", lambda: len(letters(world)) == 20 or numbers(world, "a"))
        assert discard_heads(world) == 1
        until("all of them", lambda: len(numbers(world, "a")) == 19)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(1, 20))
