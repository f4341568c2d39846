"""What is in the retry topic and is not parked: what a frozen process writes late, and what somebody copied there."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from headrace.config import Config
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, counted, make_world
from tests.runtime.test_parking_kafka import HOUR, SMALL, impatient, numbers
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COUNTING = """
import os
from headrace.kafka.producer import Producer

send = Producer.send

def counted(self, *about, **more):
    send(self, *about, **more)
    with open(os.environ["EFFECTS"] + ".sent", "a") as sent:
        sent.write(".")

Producer.send = counted
"""


def lingering(world: World) -> Config:
    """The contract with a client that sends what it has to write after 40 s: before the group takes it for gone."""
    kafka = world.config.kafka.model_copy(update={"properties": {"linger.ms": "40000", "message.timeout.ms": "600000"}})
    return world.config.model_copy(update={"kafka": kafka})


def written(world: World) -> int:
    """How many records the retry topic has."""
    return world.end(world.config.topics.retry, 0)


@contextmanager
def frozen_with_copies(world: World) -> Iterator[tuple[Running, int]]:
    """Let a process of which a key fails stand still, with so many copies of it on the way to the retry topic."""
    world.produce([("bad", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(300)])
    sent = world.folder / "effects.sent"
    with consuming(world, lingering(world), before=SMALL + COUNTING) as frozen:
        until("copies on the way", lambda: sent.exists() and len(sent.read_text()) >= 100)
        frozen.process.send_signal(signal.SIGSTOP)
        assert written(world) == 0
        yield frozen, len(sent.read_text())


def test_what_a_frozen_process_writes_late_runs_no_more(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It stood still with copies on the way while others handled, and committed, all of them, and were replaced."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    with frozen_with_copies(world) as (frozen, count):
        with consuming(world, impatient(world, attempts=2)) as second:
            until("all but the first", lambda: len(numbers(world, "bad")) == 299)
            until("no lag", lambda: world.committed() == {0: 300})
            assert second.stop() == 0
        world.produce([("bad", {"n": n}) for n in range(300, 310)])
        with consuming(world, impatient(world, attempts=2)) as third:
            until("what came since", lambda: len(numbers(world, "bad")) == 309)
            assert written(world) == 0
            frozen.process.send_signal(signal.SIGCONT)
            until("late copies", lambda: written(world) >= count)
            world.produce([("bad", {"n": n}) for n in range(310, 320)])
            until("what came after", lambda: len(numbers(world, "bad")) >= 319)
            until("no lag", lambda: world.lag() == 0)
            assert third.process.poll() is frozen.process.poll() is None
    assert numbers(world, "bad") == list(range(1, 320))
    assert len(world.dead_letters(1)) == 1


@pytest.mark.parametrize("goes_on", [pytest.param(False, marks=pytest.mark.sweep), True], ids=["killed", "goes on"])
def test_what_a_frozen_process_writes_while_nobody_has_its_partitions_runs_no_more(
    kafka_broker: KafkaBroker, tmp_path: Path, *, goes_on: bool
) -> None:
    """All that it had on the way was handled, and what came since, by one that has ended; it may then begin anew."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    with frozen_with_copies(world) as (frozen, count):
        with consuming(world, impatient(world, attempts=2)) as second:
            until("all but the first", lambda: len(numbers(world, "bad")) == 299)
            world.produce([("bad", {"n": n}) for n in range(300, 310)])
            until("what came since", lambda: world.committed() == {0: 310})
            assert second.stop() == 0
        assert written(world) == 0
        frozen.process.send_signal(signal.SIGCONT)
        until("late copies", lambda: written(world) >= count)
        if not goes_on:
            frozen.process.kill()
        with consuming(world, impatient(world, attempts=2)) as third:
            world.produce([("bad", {"n": n}) for n in range(310, 320)])
            until("what came after", lambda: 319 in numbers(world, "bad"))
            until("no lag", lambda: world.lag() == 0)
            assert third.process.poll() is None
    assert numbers(world, "bad") == list(range(1, 320))
    assert len(world.dead_letters(1)) == 1


def test_what_somebody_copied_into_the_retry_topic_parks_no_key(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """A dead letter, ours or the broker's, and what another Consumer parked: each is handled, as any other record."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    world.produce([("ours", {"n": 0, "reject": True}), ("ours", {"n": 1}), ("broker", {"n": 1}), ("other", {"n": 1})])
    with consuming(world) as running:
        (letter,) = world.dead_letters(1)
        until("the others", lambda: len(world.effects()) == 3)
        assert running.stop() == 0
    place = [("__dlq.errors.topic", world.source.encode()), ("__dlq.errors.partition", b"0")]
    place += [("__dlq.errors.offset", b"0"), ("__dlq.errors.group", b"headrace.shop.another")]
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for key, own in (
        ("ours", letter.headers()),
        ("broker", place[:3]),
        ("other", [*place, ("headrace.redrive-count", b"0"), ("headrace.parked", b"1")]),
    ):
        value = json.dumps({"n": 2, "after": 3600}).encode()
        producer.produce(world.config.topics.retry, value, key=key, partition=0, headers=own)
    assert producer.flush(PATIENCE) == 0
    with consuming(world) as running:
        until("each begun", lambda: {one["key"] for one in begun(world)} == {"ours", "broker", "other"})
        world.produce([(key, {"n": 3}) for key in ("ours", "broker", "other", "good")])
        until("the good one", lambda: numbers(world, "good") == [3])
        assert counted(running, "parked_keys") == counted(running, "parked_records_total") == 0
        assert running.stop() == 0
    assert len(begun(world)) == 3


def begun(world: World) -> list[dict[str, object]]:
    """What was begun of what came from the retry topic."""
    return [one for one in world.effects("begin") if one["topic"] == world.config.topics.retry]
