"""The dispatcher alone, without Kafka: what it measures of a record's way."""

from __future__ import annotations

import asyncio
import time

from headrace.config import Config, Delivery, Handler, Kafka, Python, Retry, Topics
from headrace.dispatch import Dispatcher
from headrace.lanes import Job
from headrace.lease import Lease
from headrace.ledger import Assignment
from headrace.metrics import Metrics
from headrace.policy import Failed
from headrace.record import Record
from tests.waiting import PATIENCE

CONFIG = Config(
    namespace="shop",
    consumer="billing",
    pipeline="orders",
    group="g",
    kafka=Kafka(bootstrap_servers="kafka:9092"),
    topics=Topics(sources=("orders",), retry="r", dead_letters="d", resolutions="s"),
    handler=Handler(python=Python(function="billing:handle")),
    delivery=Delivery(retry=Retry(attempts=3, initial=0.01)),
)


async def test_a_bug_of_the_handling_fails_its_own_record_only() -> None:
    """The record that trips it is dead-lettered after its attempts; the next one is handled."""

    async def handle(record: Record) -> Failed | None:
        if record.key == b"odd":
            raise LookupError("nobody thought of this")
        return None

    dispatcher = Dispatcher(CONFIG, handle, Metrics(CONFIG), Lease(600, time.monotonic()))
    assignment = Assignment("orders", 0)
    records = [
        Record(topic="orders", partition=0, offset=at, key=key, value=b"v", timestamp=None)
        for at, key in enumerate((b"odd", b"even"))
    ]
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record) for record in records])
        while len(dispatcher.finished) < len(records):  # noqa: ASYNC110 - the poll thread looks, nobody tells
            await asyncio.sleep(0.005)
    runners.cancel()
    await asyncio.wait([runners])

    reasons = {one.record.key: one.reason for one in dispatcher.finished}
    assert reasons == {b"odd": "max-attempts", b"even": None}


async def test_dwell_is_measured_once_and_end_to_end_at_the_success() -> None:
    """A record of 5 s ago that is handled at its second attempt has dwelt once, and ended once."""
    metrics, assignment, again = Metrics(CONFIG), Assignment("orders", 0), asyncio.Event()

    async def handle(record: Record) -> Failed | None:
        if record.attempt == 1:
            return Failed(message="busy", exception="503")
        again.set()
        return None

    dispatcher = Dispatcher(CONFIG, handle, metrics, Lease(600, time.monotonic()))
    written = int(time.time() * 1000) - 5000
    record = Record(topic="orders", partition=0, offset=0, key=b"k", value=b"v", timestamp=written)
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        dispatcher.accept([Job(assignment, record)])
        await again.wait()
        await dispatcher.drain([assignment])
    runners.cancel()
    await asyncio.wait([runners])

    assert _of(metrics, "headrace_consumer_dwell_seconds_count") == 1
    assert _of(metrics, "headrace_consumer_dwell_seconds_sum") >= 5
    assert _of(metrics, "headrace_end_to_end_latency_seconds_count") == 1
    assert _of(metrics, "headrace_consumer_retries_total") == 1


def _of(metrics: Metrics, name: str) -> float:
    labels = {"resource_namespace": "shop", "pipeline": "orders", "consumer": "billing"}
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None, name
    return found
