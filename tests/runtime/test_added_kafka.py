"""A source gets more partitions: a key that goes on in another one keeps its order, wherever the two are handled."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.config import GroupProtocol
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, counted, make_world
from tests.runtime.test_copartitions_kafka import put
from tests.runtime.test_parking_kafka import impatient, numbers
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENT = {"attempts": 1_000_000, "initial": 0.1, "factor": 1, "max": 0.1}


def grow(world: World, count: int) -> None:
    """Give the source more partitions, and the Consumer's own topics, as the operator does."""
    topics = world.config.topics
    for topic in (world.source, topics.retry, topics.dead_letters):
        world.broker.grow(topic, count)


def waits(*pods: Running) -> bool:
    """Whether one of these has said that what was added waits."""
    return any("was added" in one.log.read_text() for one in pods)


@pytest.mark.parametrize("protocol", ["classic", pytest.param("consumer", marks=pytest.mark.sweep)])
def test_a_key_is_finished_where_it_was_before_it_goes_on(
    kafka_broker: KafkaBroker, tmp_path: Path, protocol: GroupProtocol
) -> None:
    """Also what a producer that learns of it late writes where it was; other partitions go on meanwhile."""
    world = make_world(kafka_broker, tmp_path, partitions=1, protocol=protocol, retry=PATIENT)
    gates = [tmp_path / f"gate-{n}" for n in range(2)]
    with consuming(world) as running:
        for n in range(10):
            put(world, 0, "k", {"n": n, **({"until": str(gates[0])} if n == 0 else {})})
        until("the head is tried", lambda: world.effects("begin"))
        grow(world, 3)
        for n in range(10, 20):
            put(world, 1, "k", {"n": n})
        until("what was added waits", lambda: waits(running))
        until("both are counted", lambda: counted(running, "paused_partitions", reason="added") == 2)
        assert counted(running, "paused_partitions", reason="full") == 0
        put(world, 0, "old", {"n": 0})
        until("others go on", lambda: numbers(world, "old") == [0])
        assert numbers(world, "k") == []
        gates[0].touch()
        until("all of it", lambda: len(numbers(world, "k")) == 20)

        put(world, 0, "k", {"n": 20, "until": str(gates[1])})
        put(world, 1, "k", {"n": 21})
        until("the late one is tried", lambda: [one for one in world.effects("begin") if "20" in str(one["value"])])
        put(world, 0, "old", {"n": 1})
        until("others go on", lambda: numbers(world, "old") == [0, 1])
        gates[1].touch()
        until("both", lambda: len(numbers(world, "k")) == 22)
        put(world, 2, "new", {"n": 0})
        until("the third", lambda: numbers(world, "new") == [0])
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert numbers(world, "k") == list(range(22))


ONE_COMES_DURING_A_LOOK = """
import time
from headrace.worker import added
look, begin, came = added.look, added.Added.begin, []

def slow(config, partitions, *about):
    found, asked = look(config, partitions, *about), {number for _, number in partitions}
    while 1 in asked and 2 not in asked and not came:
        time.sleep(0.05)
    return found

def note(self, partitions):
    begin(self, partitions)
    came.extend(one for one in partitions if one[1] == 2)

added.look, added.Added.begin = slow, note
"""
"""What the second partition waits for is known only after the third one has come."""


def test_one_that_comes_while_others_are_looked_at_waits_too(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=PATIENT)
    gate = tmp_path / "gate"
    put(world, 0, "k", {"n": 0, "until": str(gate)})
    with consuming(world, before=ONE_COMES_DURING_A_LOOK) as running:
        until("the head is tried", lambda: world.effects("begin"))
        grow(world, 2)
        until("the second", lambda: counted(running, "rebalances_total") >= 2)
        grow(world, 3)
        put(world, 2, "k", {"n": 1})
        until("both wait", lambda: waits(running) or numbers(world, "k"))
        put(world, 0, "old", {"n": 0})
        until("others go on", lambda: numbers(world, "old") == [0])
        assert numbers(world, "k") == []
        gate.touch()
        until("all of it", lambda: len(numbers(world, "k")) == 2)
        assert running.stop() == 0
    assert numbers(world, "k") == [0, 1]


def test_what_is_parked_is_finished_first_in_another_pod_and_after_a_restart(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Of two pods one has the partition in which the key was, the other one where it goes on; both are replaced."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry={"attempts": 3, "initial": 3600, "max": 3600})
    with consuming(world) as first:
        for n in range(20):
            put(world, 0, "k", {"n": n, **({"after": 3600} if n == 0 else {})})
        until("parked", lambda: counted(first, "parked_records_total") == 20)
        until("done with the source", lambda: world.committed() == {0: 20})
        grow(world, 2)
        for n in range(20, 30):
            put(world, 1, "k", {"n": n})
        with consuming(world) as second:
            until("what was added waits", lambda: waits(second) or waits(first))
            until("shared", lambda: counted(second, "rebalances_total") >= 1)
            put(world, 0, "old", {"n": 0})
            until("others go on", lambda: numbers(world, "old") == [0])
            assert numbers(world, "k") == []
            assert second.stop() == first.stop() == 0
    soon = impatient(world, attempts=2)
    with consuming(world, soon) as first, consuming(world, soon) as second:
        until("all but the first", lambda: len(numbers(world, "k")) == 29)
        until("no lag", lambda: world.lag() == 0)
        assert first.stop() == second.stop() == 0
    assert numbers(world, "k") == list(range(1, 30))


def test_who_begins_with_all_partitions_waits_for_none(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Also where a second pod comes later: what was there from the first is no older than the rest."""
    world = make_world(kafka_broker, tmp_path, partitions=4, retry=PATIENT)
    gate = tmp_path / "gate"
    put(world, 0, "slow", {"n": 0, "until": str(gate)})
    with consuming(world) as first:
        until("it is tried", lambda: world.effects("begin"))
        with consuming(world) as second:
            until("shared", lambda: counted(second, "rebalances_total") >= 1)
            for number in range(1, 4):
                put(world, number, f"k{number}", {"n": 0})
            until("all others", lambda: len(world.effects()) == 3)
            assert not waits(first, second)
