"""What a consumer process tells with its commits, read back from a real broker as the operator reads it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_operator.clients.errors import Retryable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import Committed, Partition
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

HOUR = {"attempts": 4, "initial": 3600, "factor": 2, "max": 3600, "max_in_memory": 3600}


def poisoned(count: int, every: int) -> list[tuple[str | None, object]]:
    """Records of which the first fails, and each ``every``-th has its key."""
    return [("poisoned" if n % every == 0 else f"k{n}", {"n": n, "fail": 9 if n == 0 else 0}) for n in range(count)]


async def test_records_done_behind_a_key_in_back_off_are_told(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Told also when no offset moves; what is done stays told when the process has given its partitions away."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    kafka = Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})
    world.produce(poisoned(300, every=30))
    with consuming(world) as running:
        await until(kafka, world, Committed(offset=0, done=290, retrying=1, held=10))
        world.produce(poisoned(61, every=30)[1:])
        await until(kafka, world, Committed(offset=0, done=348, retrying=1, held=12))
        assert running.stop() == 0
    await until(kafka, world, Committed(offset=0, done=348))
    kafka.close()


async def until(kafka: Kafka, world: World, wanted: Committed) -> None:
    """Wait until the group's commit says what is ``wanted``."""
    at = (world.source, 0)
    async with asyncio.timeout(PATIENCE):
        while (await _committed(kafka, world.config.group, at)) != wanted:  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.2)


async def _committed(kafka: Kafka, group: str, at: Partition) -> Committed | None:
    """Return what is committed, without the pod's load; None also while a new broker has no coordinator yet."""
    try:
        found = (await kafka.committed(group, [at])).get(at)
    except Retryable:
        return None
    return found and replace(found, load=None)
