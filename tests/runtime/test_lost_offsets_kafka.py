"""Offsets that no longer exist, on a real broker: the partition stops or goes on as is wanted, the others go on."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import config as contract
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world, write_commit
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-20")]

WISHES = ("Stop", "Earliest", "Latest")
GAUGE, COUNTER = "headrace_consumer_out_of_range_partitions", "headrace_consumer_offset_resets_total"


SLOW = """
import time
from headrace.kafka.membership import Membership

take = Membership.take

def take_slowly(self, client, starts):
    take(self, client, starts)
    time.sleep(1)

Membership.take = take_slowly
"""
"""Code that a process runs first: it has no turn for a second after it was given partitions, as on a busy machine."""


def that_wants(world: World, wish: str) -> contract.Config:
    """Return the Consumer with what it wants for an offset that is lost."""
    delivery = world.config.delivery.model_copy(update={"on_offset_lost": wish})
    return world.config.model_copy(update={"delivery": delivery})


def put(world: World, partition: int, *numbers: int) -> None:
    """Write records that carry these numbers."""
    world.produce([(f"k{partition}", {"n": n}) for n in numbers], partition=partition)


def handled(world: World, partition: int = 0) -> list[int]:
    """Return the numbers that were handled of a partition, in order."""
    done = [effect for effect in world.effects() if effect["key"] == f"k{partition}"]
    return [json.loads(str(effect["value"]))["n"] for effect in done]


def measured(running: Running, name: str) -> float:
    """Return the value of a metric of the pod."""
    found = re.search(rf"^{name}{{[^}}]*}} (\S+)$", running.get("/metrics")[1], re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def delete_before(world: World, offset: int) -> None:
    """Let the log of partition 0 begin at ``offset``, as retention does."""
    admin = AdminClient({"bootstrap.servers": world.broker.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.source, 0, offset)]).values():
        future.result(timeout=PATIENCE)


def passed_by_retention(world: World) -> None:
    """Handle 0 to 9 of both partitions; then 10 to 19 come, and retention takes those below 15 of partition 0."""
    for partition in (0, 1):
        put(world, partition, *range(10))
    with consuming(world) as running:
        until("the first ten of both", lambda: len(world.effects()) == 20)
        assert running.stop() == 0
    for partition in (0, 1):
        put(world, partition, *range(10, 20))
    delete_before(world, 15)


@pytest.mark.parametrize("wish", WISHES)
def test_retention_that_passed_the_committed_offset(kafka_broker: KafkaBroker, tmp_path: Path, wish: str) -> None:
    world = make_world(kafka_broker, tmp_path)
    passed_by_retention(world)
    with consuming(world, that_wants(world, wish)) as running:
        until("the log", lambda: "offset 10 no longer exists, the log has 15 to 20" in running.log.read_text())
        until("the other partition", lambda: handled(world, 1) == list(range(20)))
        if wish == "Stop":
            until("not ready", lambda: running.get("/readyz")[0] == 503)
            until("it is measured", lambda: measured(running, GAUGE) == 1)
            assert running.get("/healthz")[0] == 200
        else:
            until("the partition going on", lambda: world.committed() == {0: 20, 1: 20})
            put(world, 0, 20)
            until("what comes next", lambda: 20 in handled(world))
            until("ready", lambda: running.get("/readyz")[0] == 200)
            assert (measured(running, GAUGE), measured(running, COUNTER)) == (0, 1)
        assert running.stop() == 0
    begun = {"Stop": [], "Earliest": list(range(15, 21)), "Latest": [20]}[wish]
    assert handled(world) == [*range(10), *begun]
    assert handled(world, 1) == list(range(20))
    assert world.committed() == {0: 10 if wish == "Stop" else 21, 1: 20}


def test_a_partition_that_stopped_goes_on_with_the_edit_that_says_so(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """While the pod that stands runs on, as in a rollout: the pod with the edit comes first, the other ends then."""
    world = make_world(kafka_broker, tmp_path)
    passed_by_retention(world)
    with consuming(world) as old:
        until("the stop", lambda: old.get("/readyz")[0] == 503)
        with consuming(world, that_wants(world, "Earliest")) as new:
            until("the new pod", lambda: new.get("/readyz")[0] == 200)
            assert old.stop() == 0
            until("all that is left", lambda: world.committed() == {0: 20, 1: 20})
            assert new.stop() == 0
    assert handled(world) == [*range(10), *range(15, 20)]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_an_offset_that_is_found_lost_before_the_pod_compares(
    kafka_broker: KafkaBroker, tmp_path: Path, protocol: contract.GroupProtocol
) -> None:
    """The client no longer compares the log of such a partition with what was read; the other one goes on."""
    world = make_world(kafka_broker, tmp_path, protocol=protocol)
    passed_by_retention(world)
    with consuming(world, that_wants(world, "Earliest"), before=SLOW) as running:
        until("all that is left", lambda: world.committed() == {0: 20, 1: 20})
        assert running.stop() == 0
    assert handled(world) == [*range(10), *range(15, 20)]
    assert handled(world, 1) == list(range(20))


@pytest.mark.parametrize("wish", ["Stop", "Earliest", pytest.param("Latest", marks=pytest.mark.sweep)])
def test_a_topic_made_anew_while_the_pod_does_not_look(kafka_broker: KafkaBroker, tmp_path: Path, wish: str) -> None:
    """It has fewer records than were handled of the old one, and the pod goes on where it was in that."""
    world = make_world(kafka_broker, tmp_path)
    put(world, 0, *range(10))
    with consuming(world, that_wants(world, wish)) as running:
        until("all committed", lambda: world.committed().get(0) == 10)
        running.process.send_signal(signal.SIGSTOP)
        kafka_broker.make_anew(world.source)
        put(world, 0, 100, 101)
        running.process.send_signal(signal.SIGCONT)
        until("the loss", lambda: "offset 10 no longer exists, the log has 0 to 2" in running.log.read_text())
        if wish == "Stop":
            until("not ready", lambda: running.get("/readyz")[0] == 503)
        else:
            until("the partition going on", lambda: world.committed().get(0) == 2)
            put(world, 0, 102)
            until("what comes next", lambda: 102 in handled(world))
        assert running.stop() == 0
    assert handled(world) == [*range(10), *{"Stop": [], "Earliest": [100, 101, 102], "Latest": [102]}[wish]]


def test_a_topic_made_anew_while_the_pod_looks(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Whether it sees that the topic was gone, and is given it as a new one, or does not: it handles what is there."""
    world = make_world(kafka_broker, tmp_path)
    put(world, 0, *range(10))
    with consuming(world, that_wants(world, "Earliest")) as running:
        until("all committed", lambda: world.committed().get(0) == 10)
        kafka_broker.make_anew(world.source)
        put(world, 0, 100, 101)
        until("what is there", lambda: handled(world)[10:] == [100, 101])
        assert running.stop() == 0


@pytest.mark.parametrize("wish", ["Stop", "Latest", pytest.param("Earliest", marks=pytest.mark.sweep)])
def test_an_offset_that_the_log_has_not_reached(kafka_broker: KafkaBroker, tmp_path: Path, wish: str) -> None:
    """As after a topic that was made anew, or restored from a copy, with the offsets of the old one."""
    world = make_world(kafka_broker, tmp_path)
    put(world, 0, *range(4))
    write_commit(world, 40)
    with consuming(world, that_wants(world, wish)) as running:
        until("the loss", lambda: "offset 40 no longer exists, the log has 0 to 4" in running.log.read_text())
        if wish != "Stop":
            until("the partition going on", lambda: world.committed().get(0) == 4)
            put(world, 0, *range(4, 60))
            until("all that comes next", lambda: world.committed().get(0) == 60)
        assert running.stop() == 0
    assert handled(world) == {"Stop": [], "Earliest": list(range(60)), "Latest": list(range(4, 60))}[wish]
