"""Redriven records run with their key while a source gets more partitions, on a real Kafka and in real processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer

from headrace.cli import answers
from headrace.cli.failure import Exit
from tests import lines
from tests.kafka_broker import KafkaBroker
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import HANDLER, Running, World, consuming, counted, make_world, patient
from tests.runtime.test_parking_kafka import SMALL, numbers
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-15")]

GROWN = 6

KNOWN = "from headrace.flow import added; added.FRESH = 0"
"""Code that a process runs first: producers know of added partitions as soon as the group does."""

GATED = """
import asyncio, os
from headrace.worker.dispatch import Dispatcher

take = Dispatcher._take

def gated(self):
    if os.path.exists(os.environ["EFFECTS"] + ".go"):
        return take(self)
    asyncio.get_running_loop().call_later(0.1, self._wake_runners)

Dispatcher._take = gated
"""
"""Code that a process runs first: it begins nothing before there is a file."""


@pytest.fixture
def world(kafka_broker: KafkaBroker, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made = make_world(kafka_broker, tmp_path, partitions=3, protocol=getattr(request, "param", "classic"))
    kafka_broker.create_topic(made.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    return made


def put(world: World, partition: int, key: str, value: object, topic: str = "") -> None:
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    producer.produce(topic or world.source, json.dumps(value).encode(), key=key, partition=partition)
    assert producer.flush(PATIENCE) == 0


def waiting(both: Sequence[Running]) -> float:
    return sum(counted(one, "paused_partitions", reason="retry-partition") for one in both)


def without_partner(running: Running) -> str:
    """Which partitions of the source a process said last to be without their retry partition."""
    said = [line for line in lines.written(running.log) if "until their retry partition is here" in line]
    return said[-1].rpartition("/")[2].rstrip('"') if said else ""


def done(world: World) -> set[object]:
    return {one["key"] for one in world.effects()}


@pytest.mark.parametrize("world", ["classic", pytest.param("consumer", marks=pytest.mark.sweep)], indirect=True)
def test_partitions_are_read_once_their_retry_partition_is_there_and_keys_stay_in_order(world: World) -> None:
    """Of two processes with 3 of 6 partitions each, only the first has partners for some: 0 and 1.

    With KIP-848 the brokers of Kafka 4.3.1, when busy, now and then take no notice of partitions that are added.
    """
    with consuming(world, before=KNOWN) as first, consuming(world, before=KNOWN) as second:
        until("the group", lambda: all(one.get("/readyz")[0] == 200 for one in (first, second)))
        world.broker.grow(world.source, GROWN)
        until("the partitions that wait", lambda: {without_partner(one) for one in (first, second)} == {"2", "3+4+5"})
        until("them alone", lambda: waiting([first, second]) == 4)
        for number in range(GROWN):
            put(world, number, f"k-{number}", {"poison": number == 4, "sleep": 3 if number == 4 else 0})
        until("those that are read", lambda: done(world) == {"k-0", "k-1"})
        assert all(one.get("/healthz")[0] == 200 for one in (first, second))
        assert done(world) == {"k-0", "k-1"}

        for topic in (world.config.topics.dead_letters, world.config.topics.retry):
            world.broker.grow(topic, GROWN)
        until("all others", lambda: done(world) == {"k-0", "k-1", "k-2", "k-3", "k-5"})
        until("that none waits", lambda: waiting([first, second]) == 0)
        (letter,) = world.dead_letters(1)
        assert letter.partition() == 4
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        until("the redriven record under way", lambda: [one for one in world.effects("begin") if one["redriven"]])
        put(world, 4, "k-4", {"n": 2})
        until("both of the key", lambda: [one["key"] for one in world.effects()].count("k-4") == 2)

    redriven, later = [one for one in world.effects() if one["key"] == "k-4"]
    assert (redriven["redriven"], later["redriven"]) == (1, 0)
    assert redriven["pid"] == later["pid"]


def test_what_is_parked_waits_for_the_older_head_of_its_key_while_the_source_grows(world: World) -> None:
    """The head ran when its process was killed; source partition and retry partition lie in two processes since."""
    put(world, 2, "slow", {"n": 0, "sleep": 3600})
    with consuming(world, patient(world), before=SMALL) as running:
        until("the head", lambda: world.effects("begin"))
        world.produce([("slow", {"n": n}) for n in range(1, 180)], partition=2)
        world.produce([(f"k{n % 50}", {"n": n}) for n in range(300)], partition=2)
        until("parked", lambda: counted(running, "parked_records_total") == 179)
        until("all the others", lambda: len(world.effects()) == 300)
        until("told", lambda: world.told(2).done >= 479)
        running.process.kill()
    world.broker.grow(world.source, GROWN)
    (world.folder / "code" / "effects_handler.py").write_text(HANDLER.replace('wish.get("sleep", 0)', "0"))
    with consuming(world, before=GATED) as first, consuming(world, before=GATED) as second:
        until("the group", lambda: all(one.get("/readyz")[0] == 200 for one in (first, second)))
        until("two that share", lambda: all(counted(one, "paused_partitions") for one in (first, second)))
        until("partitions that wait", lambda: waiting([first, second]) == 4)
        (world.folder / "effects.go").touch()
        put(world, 0, "another", {"n": 0})
        until("what is read", lambda: "another" in done(world))
        assert numbers(world, "slow") == []
        world.broker.grow(world.config.topics.retry, GROWN)
        until("it all", lambda: len(numbers(world, "slow")) >= 180)
    assert numbers(world, "slow") == list(range(180))


def test_a_source_with_fewer_partitions_than_another_is_read_by_several_processes(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Its second partition lies in another process than the retry partition of that number, for ever: nothing waits."""
    world = make_world(kafka_broker, tmp_path, partitions=4)
    few = kafka_broker.create_topic(f"{world.source}.few", 2)
    topics = world.config.topics.model_copy(update={"sources": (world.source, few)})
    config = world.config.model_copy(update={"topics": topics})
    with consuming(world, config) as first, consuming(world, config) as second:
        until("the group", lambda: all(one.get("/readyz")[0] == 200 for one in (first, second)))
        for number in range(4):
            put(world, number, f"k-{number}", {})
        for number in range(2):
            put(world, number, f"few-{number}", {}, few)
        until("all of both", lambda: done(world) == {"k-0", "k-1", "k-2", "k-3", "few-0", "few-1"})
    assert "unordered" in first.log.read_text() + second.log.read_text()


def test_a_redrive_with_too_few_retry_partitions_says_what_to_do_and_puts_nothing_back(world: World) -> None:
    """Not even a record whose retry partition is there: its partitions may lie in two pods."""
    put(world, 0, "k-0", {"reject": True})
    with consuming(world):
        world.dead_letters(1)
    world.broker.grow(world.source, GROWN)

    for words in (["redrive"], ["redrive", "--dry-run"]):
        (said,) = ask(world, *words, check=False)
        assert isinstance(said, answers.Failed)
        assert said.exit_code == Exit.UNWELL
        assert f"{world.config.topics.retry} has 3 partitions where {world.source} has 6" in said.what
        assert "kafka-topics.sh --alter" in said.remedy
    assert ask(world, "dlq-list")[-1] == answers.Done(count=1)

    world.broker.grow(world.config.topics.retry, GROWN)
    assert ask(world, "redrive")[-1] == answers.Done(count=1)
    assert ask(world, "dlq-list")[-1] == answers.Done(count=0)


def test_a_letter_whose_partition_the_retry_topic_lacks_stays_and_the_others_go(world: World) -> None:
    """Of a topic that is not read any more: 7 partitions it had."""
    dead = world.config.topics.dead_letters
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    for number in (6, 1):
        whence = [("kafka_dlt-original-topic", b"old"), ("kafka_dlt-original-partition", number.to_bytes(4, "big"))]
        whence.append(("kafka_dlt-original-offset", bytes(8)))
        producer.produce(dead, b"{}", key=b"k", partition=number % 3, headers=whence)
    assert producer.flush(PATIENCE) == 0

    said = ask(world, "redrive", check=False)[-1]

    assert isinstance(said, answers.Failed)
    assert f"0/0: its record was in partition 6, and {world.config.topics.retry} has 3" in said.what
    listed = ask(world, "dlq-list")
    assert isinstance(listed[0], answers.Listed)
    assert (listed[0].letter.name, listed[-1]) == ("0/0", answers.Done(count=1))
