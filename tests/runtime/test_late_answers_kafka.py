"""Answers of Kafka that come late, on a real broker: a pod waits for them, says so, and goes on; it does not end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-19")]

SILENT = """
import os, pathlib
from confluent_kafka import Consumer, KafkaError, KafkaException
from headrace.kafka import consumer

answers = pathlib.Path(os.environ["EFFECTS"]).parent / "answers"

class Silent(Consumer):
    def committed(self, *about, **more):
        if not answers.exists():
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return super().committed(*about, **more)

consumer.Consumer = Silent
"""
"""Code that a process runs first: until a file is there, its group does not tell it in time what is committed."""

NOT_TOLD = "the group does not tell what is committed"


def handled(world: World) -> list[int]:
    """Return the numbers that were handled, lowest first."""
    return sorted(json.loads(str(effect["value"]))["n"] for effect in world.effects())


def put(world: World, start: int) -> None:
    """Write twenty records that carry the numbers from ``start`` on into both partitions."""
    for n in range(start, start + 20):
        world.produce([(f"k{n}", {"n": n})], partition=n % 2)


@pytest.fixture(params=["classic", "consumer"])
def world(kafka_broker: KafkaBroker, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """A Consumer whose first twenty records are written."""
    made = make_world(kafka_broker, tmp_path, protocol=request.param)
    put(made, 0)
    return made


def test_a_pod_that_is_not_told_what_is_committed_asks_again(world: World) -> None:
    """It reads nothing, and goes on where the pod before was once it knows."""
    with consuming(world) as running:
        until("the first", lambda: world.committed() == {0: 10, 1: 10})
        assert running.stop() == 0
    put(world, 20)
    with consuming(world, before=SILENT) as running:
        until("the log", lambda: NOT_TOLD in running.said)
        assert running.get("/readyz")[0] == 503
        assert running.get("/healthz")[0] == 200
        (world.folder / "answers").touch()
        until("the others", lambda: world.committed() == {0: 20, 1: 20})
        until("ready", lambda: running.get("/readyz")[0] == 200)
        assert running.stop() == 0
    assert handled(world) == list(range(40))


def test_what_a_pod_has_not_begun_with_is_taken_from_it(world: World) -> None:
    """Another comes and is given half of it, and all once the one that is told nothing ends."""
    with consuming(world, before=SILENT) as silent:
        until("the log", lambda: NOT_TOLD in silent.said)
        with consuming(world) as other:
            until("half of it", lambda: len(handled(world)) == 10)
            assert silent.process.poll() is None
            assert silent.stop() == 0
            until("all of it", lambda: world.committed() == {0: 10, 1: 10})
            assert other.stop() == 0
    assert handled(world) == list(range(20))
