"""A Kafka that takes requests and does not answer: a pod goes on, lives, and ends in its time.

The brokers are librdkafka's mocks, of which one coordinates the group, and a real one whose process is stopped.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace import config as contract
from headrace.config import GroupProtocol
from headrace.worker.health import SILENT
from tests.kafka_broker import KafkaBroker
from tests.mock_cluster import MockCluster, mocked
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

COORDINATOR = 2
LONG = {"session.timeout.ms": "300000"}
"""The group takes a member for gone only after the test."""

HANGS = 2 * SILENT
"""Seconds for which it hangs: longer than a poll thread may stand."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mocked(2) as made:
        yield made


def world_of(cluster: MockCluster, folder: Path, protocol: GroupProtocol) -> World:
    """Make a Consumer whose records are with broker 1 and whose group is with broker 2."""
    world = make_world(cluster.broker, folder, protocol=protocol)
    kafka = contract.Kafka(bootstrap_servers=cluster.bootstrap_servers, properties=LONG)
    config = world.config.model_copy(update={"kafka": kafka})
    cluster.coordinate(config.group, COORDINATOR)
    return World(broker=world.broker, config=config, folder=folder)


def put(world: World, start: int, partition: int, count: int = 20) -> None:
    world.produce([(f"k{n % 5}", {"n": n}) for n in range(start, start + count)], partition=partition)


def done(world: World) -> Counter[int]:
    """How often each record had its effect."""
    return Counter(json.loads(str(effect["value"]))["n"] for effect in world.effects())


def alive_until(running: Running, what: str, holds: Callable[[], bool]) -> None:
    """Await what holds, and that its poll thread turns all the while."""

    def look() -> bool:
        assert running.get("/healthz")[0] == 200, f"the poll thread stands while waiting for {what}"
        return holds()

    until(what, look)


@pytest.mark.case("delivery-14")
@pytest.mark.parametrize(("protocol", "times"), [("classic", {1}), ("consumer", {1, 2})])
def test_a_partition_is_begun_with_while_the_coordinator_hangs(
    cluster: MockCluster, tmp_path: Path, protocol: GroupProtocol, times: set[int]
) -> None:
    """The group cannot be told that a pod works on it, and other partitions do not wait for that either.

    With the brokers' own session the pod is taken for gone meanwhile, and repeats what it could not commit.
    """
    world = world_of(cluster, tmp_path, protocol)
    with consuming(world) as running:
        put(world, 0, partition=0)
        until("the first committed", lambda: sum(world.committed().values()) == 20)
        with cluster.slow(COORDINATOR, HANGS):
            put(world, 20, partition=1)
            put(world, 40, partition=0)
            alive_until(running, "all", lambda: len(done(world)) == 60)
            hung = time.monotonic()
            alive_until(running, "a while", lambda: time.monotonic() - hung > SILENT + 5)
        until("all committed", lambda: sum(world.committed().values()) == 60)
        assert running.stop() == 0
    assert set(done(world).values()) <= times


HELD = """
import os, pathlib, time
from headrace.worker.poll import Poller
drain, folder = Poller._drain, pathlib.Path(os.environ["EFFECTS"]).parent

def held(self, *about):
    (folder / "giving").touch()
    while not (folder / "give").exists():
        time.sleep(0.05)
    drain(self, *about)

Poller._drain = held
"""
"""Code that a process runs first: it gives partitions away when it is told to."""


@pytest.mark.case("delivery-1")
def test_partitions_are_given_away_while_the_coordinator_hangs(cluster: MockCluster, tmp_path: Path) -> None:
    """The commit before that is not answered for long; the pod goes on with what it keeps."""
    world = world_of(cluster, tmp_path, "consumer")
    with consuming(world, before=HELD) as first:
        put(world, 0, partition=0)
        put(world, 20, partition=1)
        until("the first committed", lambda: sum(world.committed().values()) == 40)
        with consuming(world) as second:
            until("a partition to be asked for", (tmp_path / "giving").exists)
            with cluster.slow(COORDINATOR, HANGS):
                (tmp_path / "give").touch()
                hung = time.monotonic()
                alive_until(first, "a while", lambda: time.monotonic() - hung > SILENT + 5)
            put(world, 40, partition=0)
            put(world, 60, partition=1)
            until("all committed", lambda: sum(world.committed().values()) == 80)
            assert first.stop() == second.stop() == 0
    assert set(done(world)) == set(range(80))


@pytest.mark.case("delivery-3")
def test_a_pod_ends_in_its_time_though_kafka_does_not_answer(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It is not killed by its own watchdog, and says that what it finished may come again."""
    world = make_world(kafka_broker, tmp_path, stop=5.0)
    until_let_go = str(tmp_path / "let-go")
    world.produce([("k", {"n": 0})])
    with consuming(world) as running:
        until("the first committed", lambda: sum(world.committed().values()) == 1)
        world.produce([("k", {"n": 1, "until": until_let_go, "sleep": 2})])
        until("the second to begin", lambda: len(world.effects("begin")) == 2)
        with kafka_broker.silent():
            (tmp_path / "let-go").touch()
            running.process.terminate()
            assert running.process.wait(PATIENCE) == 0
        assert "Kafka does not say whether offsets are committed" in running.said
    with consuming(world) as running:
        until("all committed", lambda: sum(world.committed().values()) == 2)
        assert running.stop() == 0
    assert done(world)[0] == 1
    assert done(world)[1] in (1, 2)
