"""Brokers of which one is away, or that refuse for a while: no coordinator, a rolling restart, an epoch that is behind.

They are librdkafka's mocks, the consumers are real processes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from headrace import config as contract
from headrace.config import GroupProtocol
from tests.mock_cluster import OFFSET_COMMIT, OFFSET_FETCH, PRODUCE, MockCluster, mocked
from tests.runtime.consumer_process import Running, World, consuming, counted, make_world
from tests.runtime.test_parking_kafka import HOUR, SMALL, impatient, numbers, park_bad, parked
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

COORDINATOR = 3
QUICK = {"message.timeout.ms": "3000"}
"""So that what is not written is told soon, and begun anew."""

LONG, SHORT = {"session.timeout.ms": "300000"}, {"session.timeout.ms": "15000", "heartbeat.interval.ms": "500"}
"""So that the group takes a member for gone only after the test, or soon."""


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mocked(3) as made:
        yield made


def world_of(cluster: MockCluster, folder: Path, properties: Mapping[str, str], **more: Any) -> World:
    """Make a Consumer whose records are with broker 1 and whose group is with broker 3."""
    world = make_world(cluster.broker, folder, **more)
    kafka = contract.Kafka(bootstrap_servers=cluster.bootstrap_servers, properties=properties)
    config = world.config.model_copy(update={"kafka": kafka})
    cluster.coordinate(config.group, COORDINATOR)
    return World(broker=world.broker, config=config, folder=folder)


def put(world: World, start: int, count: int = 20) -> None:
    world.produce([(f"k{n % 5}", {"n": n}) for n in range(start, start + count)])


def done(world: World) -> Counter[int]:
    """How often each record had its effect."""
    return Counter(json.loads(str(effect["value"]))["n"] for effect in world.effects())


def await_done(world: World, count: int) -> None:
    until(f"{count} done", lambda: len(done(world)) == count)


def await_committed(world: World, count: int) -> None:
    until(f"{count} committed", lambda: sum(world.committed().values()) == count)


@pytest.mark.parametrize("protocol", ["classic", pytest.param("consumer", marks=pytest.mark.sweep)])
def test_without_its_coordinator_a_group_works_on_and_commits_afterwards(
    cluster: MockCluster, tmp_path: Path, protocol: GroupProtocol
) -> None:
    world = world_of(cluster, tmp_path, LONG, protocol=protocol)
    with consuming(world) as running:
        put(world, 0)
        await_committed(world, 20)
        with cluster.away(COORDINATOR):
            put(world, 20)
            await_done(world, 40)
        await_committed(world, 40)
        assert running.stop() == 0
    assert set(done(world).values()) == {1}


def test_a_coordinator_that_is_away_for_longer_than_a_session_loses_nothing(
    cluster: MockCluster, tmp_path: Path
) -> None:
    """What was finished and could not be committed comes again; what was committed does not."""
    world = world_of(cluster, tmp_path, SHORT)
    with consuming(world) as running:
        put(world, 0)
        await_committed(world, 20)
        with cluster.away(COORDINATOR):
            put(world, 20)
            await_done(world, 40)
            until("what was assigned to be lost", lambda: 'msg="lost ' in running.log.read_text())
            put(world, 40)
        await_committed(world, 60)
        assert running.stop() == 0
    times = done(world)
    assert {times[number] for number in (*range(20), *range(40, 60))} == {1}
    assert {times[number] for number in range(20, 40)} <= {1, 2}


@pytest.mark.parametrize("request_", [OFFSET_FETCH, OFFSET_COMMIT], ids=["at its start", "at a commit"])
def test_a_member_whose_epoch_is_behind_recovers(cluster: MockCluster, tmp_path: Path, request_: int) -> None:
    world = world_of(cluster, tmp_path, {}, protocol="consumer")
    cluster.refuse(request_, KafkaError.STALE_MEMBER_EPOCH, 2)
    with consuming(world) as running:
        put(world, 0)
        await_done(world, 20)
        await_committed(world, 20)
        assert running.stop() == 0
    assert set(done(world).values()) == {1}


def test_a_rolling_restart_of_the_brokers_costs_no_record_and_repeats_none(
    cluster: MockCluster, tmp_path: Path
) -> None:
    """Of three, one has the records, one the dead letters and one the group; each is away once while records come."""
    world = world_of(cluster, tmp_path, LONG)
    for number in range(2):
        cluster.lead(world.config.topics.dead_letters, number, 2)
    with consuming(world) as running:
        world.produce([("bad0", {"reject": True})])
        world.dead_letters(1)
        for turn, broker in enumerate((1, 2, COORDINATOR)):
            with cluster.away(broker):
                until("it to be missed", lambda: is_missed(running, cluster.address(broker)))  # noqa: B023
                writing = begin_to_write(world, turn)
            assert writing.flush(PATIENCE) == 0
            await_done(world, 20 * (turn + 1))
        await_committed(world, 64)
        assert {letter.key() for letter in world.dead_letters(4)} == {b"bad0", b"bad1", b"bad2", b"bad3"}
        assert running.stop() == 0
    assert set(done(world).values()) == {1}


def is_missed(running: Running, broker: str) -> bool:
    """Tell whether a client of a process said of a broker, or of the coordinator at its address, that it is away."""
    said = "\n".join(line for line in running.log.read_text().splitlines() if "|FAIL|" in line)
    return broker in said or f"GroupCoordinator: {broker.partition('/')[0]}:" in said


def begin_to_write(world: World, turn: int) -> Producer:
    """Begin to write twenty records, and one that is not wanted, whether or not the brokers take them now."""
    settings = {"enable.idempotence": "true", "message.timeout.ms": str(int(PATIENCE * 1000))}
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers, **settings})
    for n in range(20 * turn, 20 * turn + 20):
        producer.produce(world.source, json.dumps({"n": n}), key=f"k{n % 5}")
    producer.produce(world.source, json.dumps({"reject": True}), key=f"bad{turn + 1}")
    return producer


def test_a_dead_letter_waits_for_replicas_in_sync(cluster: MockCluster, tmp_path: Path) -> None:
    """It counts as not written, and nothing is committed over it; then all goes on by itself."""
    world = world_of(cluster, tmp_path, QUICK, partitions=1)
    world.produce([("bad", {"reject": True}), ("good", {"n": 1})])
    with ExitStack() as few:
        few.enter_context(cluster.refusing(PRODUCE, KafkaError.NOT_ENOUGH_REPLICAS))
        with consuming(world) as running:
            await_done(world, 1)
            until("it to be told", lambda: counted(running, "dead_letter_failures_total") > 0)
            assert world.committed().get(0, 0) == 0
            few.close()
            await_committed(world, 2)
            assert running.stop() == 0
    assert [letter.key() for letter in world.dead_letters(1)] == [b"bad"]


def test_what_is_parked_waits_for_replicas_in_sync(cluster: MockCluster, tmp_path: Path) -> None:
    """Nothing of it counts as done, and it keeps its order."""
    world = world_of(cluster, tmp_path, QUICK, partitions=1, retry=HOUR)
    park_bad(world)
    with ExitStack() as few:
        few.enter_context(cluster.refusing(PRODUCE, KafkaError.NOT_ENOUGH_REPLICAS))
        with consuming(
            world, before=f"{SMALL}; from headrace.letters import parking; parking.REFUSED = 3.0"
        ) as running:
            until("a key to be parked", lambda: counted(running, "parked_keys") == 1)
            until("it to be told", lambda: "nothing is written to retry." in running.log.read_text())
            assert counted(running, "parked_records_total") == 0
            assert world.committed().get(0, 0) == 0
            few.close()
            until("parked", lambda: parked(world))
            assert running.stop() == 0
    with consuming(world, impatient(world, attempts=2), before=SMALL) as running:
        until("its others", lambda: len(numbers(world, "bad")) == 999)
        assert running.stop() == 0
    assert numbers(world, "bad") == list(range(1, 1_000))
