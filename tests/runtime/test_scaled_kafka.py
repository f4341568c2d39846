"""What the operator decides about a real consumer process on a real broker, from what it commits."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer

from headrace_operator.clients.errors import Retryable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe import backlog as observe
from headrace_operator.scaling.decide import decide
from headrace_operator.scaling.terms import Decision, Limits, Measured, Memory
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS = 6
LIMITS = Limits(min=1, max=6, partitions=PARTITIONS, target_seconds=60, hands=8)
LOOK = 5.0
COST = 0.2
HOUR = {"attempts": 4, "initial": 3600, "factor": 2, "max": 3600, "max_in_memory": 3600}


@contextmanager
def records(world: World, rate: int, poisoned: str | None = None) -> Iterator[None]:
    """Produce so many records a second of 500 keys, each of which takes `COST`; one key may be poisoned."""
    stop = threading.Event()
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})

    def produce() -> None:
        begin, number = time.monotonic(), 0
        while not stop.wait(0.2):
            while number < rate * (time.monotonic() - begin):
                key = f"k{number % 500}"
                wish = {"sleep": COST, "fail": 9 if key == poisoned else 0}
                producer.produce(world.source, json.dumps(wish), key=key)
                number += 1
            producer.poll(0)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        producer.flush(PATIENCE)


@asynccontextmanager
async def asked(broker: KafkaBroker) -> AsyncIterator[Kafka]:
    """Return the operator's client."""
    kafka = Kafka("kafka", {"bootstrap.servers": broker.bootstrap_servers})
    try:
        yield kafka
    finally:
        kafka.close()


async def decided(kafka: Kafka, world: World, until: Callable[[Decision, float], bool]) -> Decision:
    """Look as the operator does, with one replica that is ready, until a decision and the oldest wait are wanted."""
    history, memory = History(), Memory()
    resource = worlds.resource("Consumer", world.config.consumer, {})
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(LOOK)
            now = datetime.now(UTC)
            try:
                topics = await kafka.topics([world.source, world.config.topics.retry])
                seen = await observe.backlog(resource, kafka, topics, history, now, ready=1)
            except Retryable:
                continue
            decision = decide(Measured(rates=history.rates(), ready=1), memory, LIMITS, now)
            memory = Memory(desired=1, capacity=decision.capacity, measured_at=decision.measured_at)
            oldest = max(part.lag_seconds or 0.0 for part in seen.partitions)
            print(f"{decision.reason}: {decision.message} oldest {oldest:.0f} s")
            if until(decision, oldest):
                return decision


@pytest.mark.case("scaling-1")
async def test_what_a_replica_handles_is_learned_from_what_it_commits(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Eight hands of 0.2 s do 40 a second at most; 80 a second come, so that two replicas and more are wanted."""
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS)

    def is_learned(decision: Decision, oldest: float) -> bool:
        return decision.desired > 1 and 12 <= (decision.capacity or 0) <= 60  # as exactly as a busy machine measures

    async with asked(kafka_broker) as kafka:
        with consuming(world), records(world, 80):
            decision = await decided(kafka, world, is_learned)

    assert decision.desired == 2, "a doubling, though more are required"


@pytest.mark.case("scaling-2")
async def test_a_poisoned_key_is_no_backlog_of_a_real_process(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Its record waits for an hour, and the oldest offset with it, at a quarter of what the process can do."""
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS, retry=HOUR)
    reasons = set()

    def waited(decision: Decision, oldest: float) -> bool:
        reasons.add(decision.reason)
        return decision.desired > 1 or oldest > LIMITS.target_seconds + 15

    async with asked(kafka_broker) as kafka:
        with consuming(world), records(world, 10, poisoned="k7"):
            decision = await decided(kafka, world, waited)

    assert decision.desired == 1
    assert reasons <= {"MissingData", "Learning"}
