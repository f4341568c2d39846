"""A partition that stands still though Kafka has records for it is seen by whoever looks after the pod."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.config import Config
from headrace.flow.lease import Lease
from headrace.flow.partitions import Partition
from headrace.flow.policy import Failed
from headrace.kafka.consumer import Source
from headrace.kafka.membership import session
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.worker import health, stall
from headrace.worker.dispatch import Dispatcher
from headrace.worker.poll import Poller
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.probes import asked
from tests.runtime.consumer_process import make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


class HurtPoller(Poller):
    """A poller to whose client things are done behind its back, on its own thread as the client demands."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.orders: deque[Callable[[Source], None]] = deque()

    def _turn(self) -> None:
        while self.orders:
            self.orders.popleft()(self._source)
        super()._turn()


class Consumer:
    """A consumer in this process, which can be hurt: its poller, the port of its answers, the offsets handled."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.port = free_port()
        self.handled: list[tuple[int, int]] = []
        self.poller: HurtPoller

    async def handle(self, record: Record) -> Failed | None:
        self.handled.append((record.partition, record.offset))
        return None

    async def run(self, started: threading.Event) -> None:
        metrics = Metrics(self.config)
        lease = Lease(session(self.config) / 2, time.monotonic())
        dispatcher = Dispatcher(self.config, self.handle, metrics, lease)
        self.poller = HurtPoller(self.config, dispatcher, asyncio.get_running_loop(), metrics, lease, "pod-1")
        server = await health.serve(self.poller, metrics, self.port)
        runners = asyncio.create_task(dispatcher.run())
        self.poller.start()
        started.set()
        await asyncio.to_thread(self.poller.join)
        runners.cancel()
        server.close()

    def get(self, path: str) -> tuple[int, str]:
        return asked(self.port, path)

    def stalled(self) -> float:
        lines = self.get("/metrics")[1].splitlines()
        return next(float(one.split()[-1]) for one in lines if one.startswith("headrace_consumer_stalled_partitions{"))


@contextmanager
def running(config: Config) -> Iterator[Consumer]:
    consumer, started = Consumer(config), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(consumer.run(started)))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield consumer
    finally:
        consumer.poller.stop()
        thread.join(PATIENCE)
    assert consumer.poller.fault is None


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LOOK_EVERY", 0.3), ("STALLED", 1.0), ("STUCK", 3.0)):
        monkeypatch.setattr(stall, name, seconds)


@pytest.mark.usefixtures("_quick")
def test_a_paused_partition_that_nobody_resumes_is_seen(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=2)
    world.produce([("k", {"n": 0})], partition=0)
    hurt: Partition = (world.source, 0)
    with running(world.config) as consumer:
        until("the first record", lambda: consumer.handled == [(0, 0)])
        until("readiness", lambda: consumer.get("/readyz")[0] == 200)
        consumer.poller.orders.append(lambda source: source.pause([hurt]))
        until("the pause", lambda: not consumer.poller.orders)
        world.produce([("k", {"n": 1})], partition=0)
        world.produce([("k", {"n": 2})], partition=1)
        until("the stall to be measured", lambda: consumer.stalled() == 1)
        until("the other partition", lambda: (1, 0) in consumer.handled)
        told = (503, f"records in Kafka that do not come: {[hurt]}\n")
        until("that one alone to be told of", lambda: consumer.get("/readyz") == told)
        until("liveness to fail", lambda: consumer.get("/healthz")[0] == 503)
        consumer.poller.orders.append(lambda source: source.resume([hurt]))
        until("the record", lambda: (0, 1) in consumer.handled)
        until("the end of the stall", lambda: consumer.stalled() == 0)
        until("health", lambda: consumer.get("/healthz")[0] == consumer.get("/readyz")[0] == 200)


@pytest.mark.usefixtures("_quick")
def test_an_idle_consumer_does_not_stand_still(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=2)
    with running(world.config) as consumer:
        for number in range(5):
            world.produce([("k", {"n": number})], partition=0)
            until("its commit", lambda number=number: world.committed().get(0) == number + 1)  # type: ignore[misc]
            until("no stall", lambda: consumer.poller.stalls.stalled == [])
