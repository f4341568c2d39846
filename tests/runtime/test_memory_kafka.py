"""A real process over records whose weight is in their headers: its memory stays within bounds."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HEAVY = 200_000
"""Bytes of headers of each record."""

MOST = 256 * 1024 * 1024
"""Bytes of memory that a consumer may have had at most; its container is given 512 MiB."""


def peak(running: Running) -> int:
    """Return the most bytes that were resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{running.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def produce(world: World, count: int, headers: list[tuple[str, bytes]]) -> None:
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers, "queue.buffering.max.kbytes": 65536})
    for number in range(count):
        while True:
            try:
                producer.produce(
                    world.source, key=f"k{number}", value=json.dumps({"sleep": 0.01}).encode(), headers=headers
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(PATIENCE) == 0


@pytest.mark.case("delivery-9")
@pytest.mark.parametrize(
    ("count", "headers"),
    [
        (5_000, [("blob", os.urandom(HEAVY))]),
        (1_500, [(f"{'n' * 1_900}{number}", os.urandom(100)) for number in range(100)]),
    ],
    ids=["one large value", "many long names"],
)
def test_heavy_headers_stay_within_the_memory_of_a_pod(
    kafka_broker: KafkaBroker, tmp_path: Path, count: int, headers: list[tuple[str, bytes]]
) -> None:
    world = make_world(kafka_broker, tmp_path)
    produce(world, count, headers)
    with consuming(world) as running:
        until("all to be handled", lambda: len(world.effects()) >= count)
        most, pauses = peak(running), running.log.read_text().count("reading pauses")
        assert running.stop() == 0
    print(f"{most / 2**20:.0f} MiB, {pauses} pauses")
    assert most < MOST
    assert len(world.effects()) == count
    assert pauses * 2**24 < count * HEAVY
