"""Committed offsets carry the leader epoch of what was read: a log that was cut and written anew is told from it."""

from __future__ import annotations

import json
import signal
import struct
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import config as contract
from headrace.kafka.epochs import Comparison
from tests.kafka_broker import Installed, KafkaBroker, installed
from tests.runtime.consumer_process import (
    World,
    committed_offsets,
    consuming,
    make_world,
    read_topic,
    write_commit,
)
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.case("delivery-14")]

GAUGE = "headrace_consumer_out_of_range_partitions"


def epochs(world: World) -> dict[int, int | None]:
    """Return the leader epoch committed with the offset of each partition of the source."""
    client = Consumer({"bootstrap.servers": world.broker.bootstrap_servers, "group.id": world.config.group})
    found = committed_offsets(client, [TopicPartition(world.source, number) for number in (0, 1)])
    client.close()
    return {one.partition: one.leader_epoch for one in found}


def put(world: World, *numbers: int) -> None:
    """Write records that carry these numbers into partition 0, each in a batch of its own."""
    for n in numbers:
        world.produce([("k0", {"n": n})], partition=0)


def handled(world: World) -> list[int]:
    """Return the numbers that were handled, in order."""
    return [json.loads(str(effect["value"]))["n"] for effect in world.effects()]


def that_wants(world: World, wish: str) -> contract.Config:
    """Return the Consumer with what it wants for an offset that is lost."""
    delivery = world.config.delivery.model_copy(update={"on_offset_lost": wish})
    return world.config.model_copy(update={"delivery": delivery})


def handle_all(world: World, count: int) -> None:
    """Let a pod handle all of the so many records of partition 0, and end."""
    with consuming(world) as running:
        until("all committed", lambda: world.committed().get(0) == count)
        assert running.stop() == 0


def compare(client: Consumer, starts: list[TopicPartition]) -> None:
    """Have the client compare all of these."""
    comparison = Comparison()
    comparison.begin(starts)

    def is_done() -> bool:
        comparison.ask(client)
        return not comparison.left

    until("all compared", is_done, every=0.01)


def test_partitions_that_come_while_others_still_end_are_compared(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """As in one rebalance upon another: the client has not begun with what was assigned when it is asked to compare."""
    world = make_world(kafka_broker, tmp_path, partitions=4)
    world.produce([(f"k{n}", {"n": n}) for n in range(400)])
    client = Consumer({"bootstrap.servers": world.broker.bootstrap_servers, "group.id": world.config.group})
    starts = [TopicPartition(world.source, number, 10, leader_epoch=0) for number in range(4)]
    for _ in range(200):
        for some in (starts, starts[:2]):
            client.assign(some)
            compare(client, some)
            client.poll(0.01)
    client.close()


def test_the_epoch_of_what_was_read_is_committed_and_kept(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Also by the next pod, which reads nothing more of one partition and goes on in the other."""
    world = make_world(kafka_broker, tmp_path)
    for partition in (0, 1):
        world.produce([("k", {"n": partition})], partition=partition)
    written = {one.partition(): one.leader_epoch() for one in read_topic(kafka_broker, world.source, 2)}
    assert None not in written.values()
    with consuming(world) as running:
        until("all committed", lambda: world.committed() == {0: 1, 1: 1})
        assert running.stop() == 0
    assert epochs(world) == written

    world.produce([("k", {"n": 2})], partition=0)
    with consuming(world) as running:
        until("what came next", lambda: world.committed() == {0: 2, 1: 1})
        assert running.stop() == 0
    assert epochs(world) == written


@pytest.mark.parametrize(
    ("wish", "begun", "protocol"),
    [
        ("Stop", [], "classic"),
        pytest.param("Earliest", [0, 1, 2, 3, 4], "classic", marks=pytest.mark.sweep),
        ("Earliest", [0, 1, 2, 3, 4], "consumer"),
        pytest.param("Latest", [4], "classic", marks=pytest.mark.sweep),
    ],
)
def test_an_offset_of_a_leader_that_the_log_never_had(
    kafka_broker: KafkaBroker, tmp_path: Path, wish: str, begun: list[int], protocol: contract.GroupProtocol
) -> None:
    """As after a topic that was made anew and has reached the committed offset; the other partition goes on."""
    world = make_world(kafka_broker, tmp_path, protocol=protocol)
    put(world, *range(4))
    write_commit(world, 2, leader_epoch=7)
    with consuming(world, that_wants(world, wish)) as running:
        until("the loss", lambda: "cut and written anew before offset 2, the log has 0 to 4" in running.log.read_text())
        if wish == "Stop":
            until("not ready", lambda: running.get("/readyz")[0] == 503)
            until("it is measured", lambda: running.metric(GAUGE) == 1)
            world.produce([("k1", {"n": 9})], partition=1)
            until("the other", lambda: world.committed() == {0: 2, 1: 1})
        else:
            until("the partition going on", lambda: world.committed().get(0) == 4)
            put(world, 4)
            until("what comes next", lambda: world.committed().get(0) == 5)
        assert running.stop() == 0
    assert [n for n in handled(world) if n != 9] == begun


def test_a_log_of_which_retention_left_nothing_is_the_same_log(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    put(world, 0, 1, 2)
    handle_all(world, 3)
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.source, 0, 3)]).values():
        future.result(timeout=PATIENCE)
    with consuming(world) as running:
        until("ready", lambda: running.get("/readyz")[0] == 200)
        put(world, 3)
        until("what comes next", lambda: world.committed().get(0) == 4)
        assert running.stop() == 0
    assert handled(world) == [0, 1, 2, 3]


def test_a_log_that_was_cut_and_written_anew_while_no_pod_ran(tmp_path: Path) -> None:
    """Ten are handled; the broker comes back with six, and eight others are written. None of those is passed over."""
    with installed() as place:
        with place.serving() as broker:
            world = make_world(broker, tmp_path)
            put(world, *range(10))
            handle_all(world, 10)
            until("an orderly end", lambda: ended(broker))
        cut(place, world, 6)
        with place.serving() as broker:
            put(world, *range(100, 108))
            with consuming(world, that_wants(world, "Earliest")) as running:
                until("all that there is", lambda: world.committed().get(0) == 14)
                assert "cut and written anew before offset 10, the log has 0 to 14" in running.log.read_text()
                assert running.stop() == 0
            with consuming(world) as running:  # and a leader that changed is no loss
                put(world, 108)
                until("what comes next", lambda: world.committed().get(0) == 15)
                assert running.stop() == 0
    assert handled(world) == [*range(10), *range(6), *range(100, 109)]


def ended(broker: KafkaBroker) -> bool:
    """Ask the broker to end, and return whether it has."""
    broker.process.send_signal(signal.SIGTERM)
    return broker.process.poll() is not None


def cut(place: Installed, world: World, count: int) -> None:
    """Leave the first ``count`` batches of partition 0, as an election of a replica that has no more does."""
    file = place.data / f"{world.source}-0" / f"{0:020}.log"
    data, at = file.read_bytes(), 0
    for _ in range(count):
        (length,) = struct.unpack_from(">i", data, at + 8)
        at += 12 + length
    file.write_bytes(data[:at])
    for index in file.parent.glob("*.*index"):
        index.unlink()
