"""What the poll thread makes of a log that is another one: what was queued, or on the way, comes again and runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import pytest

from headrace.flow.lease import Lease
from headrace.flow.parking import Found, Mark
from headrace.flow.partitions import Partition
from headrace.flow.policy import Failed
from headrace.letters.parked import Scan
from headrace.metrics import Metrics
from headrace.record import Position, Record
from headrace.worker import parking
from headrace.worker.dispatch import Dispatcher
from headrace.worker.poll import Poller
from tests.runtime.configs import BILLING
from tests.waiting import until

SOURCE, RETRY = ("orders", 0), (BILLING.topics.retry, 0)


class Reading:
    """Where is read, and what is not read now."""

    def __init__(self) -> None:
        self.positions: dict[Partition, int | None] = {}
        self.paused: set[Partition] = set()

    def go_on(
        self, positions: Mapping[Partition, int | None], elsewhere: Collection[Partition], again: Collection[Partition]
    ) -> None:
        self.positions = {one: at for one, at in positions.items() if one in elsewhere}

    def pause(self, partitions: Sequence[Partition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        self.paused.difference_update(partitions)


async def handle(record: Record) -> Failed | None:
    return None


class Pod:
    """One that has read three records of a key, which nobody handles, from the source or from the retry topic."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        metrics, lease = Metrics(BILLING), Lease(600, time.monotonic())
        self.dispatcher = Dispatcher(BILLING, handle, metrics, lease)
        self.poller = Poller(BILLING, self.dispatcher, loop, metrics, lease, "billing-1")
        self.reading = Reading()
        self.poller._source = self.poller._pauses._source = self.reading  # type: ignore[assignment]
        self.loop = loop
        for partition in (SOURCE, RETRY):
            self.poller._ledger.assign(*partition, 0)
        self.poller._parking.begin([SOURCE, RETRY])
        self.learn()

    def learn(self) -> None:
        """Wait until it is known what is parked."""

        def known() -> bool:
            self.poller._parking.serve((), (), time.monotonic())
            return not self.poller._parking._unknown

        until("what is parked", known)
        self.on_loop(lambda: None)

    def on_loop(self, call: Callable[[], object]) -> None:
        done = threading.Event()
        self.loop.call_soon_threadsafe(call)
        self.loop.call_soon_threadsafe(done.set)
        assert done.wait(60)

    def read(self, partition: Partition) -> None:
        for offset in range(3):
            origin = Position(*SOURCE, offset) if partition == RETRY else None
            record = Record(
                topic=partition[0],
                partition=0,
                offset=offset,
                key=b"a",
                value=b"v",
                timestamp=1,
                origin=origin,
                parked=origin is not None,
            )
            job = self.poller._job(record)
            assert job is not None
            self.on_loop(partial(self.dispatcher.accept, [job]))

    def queued(self, partition: Partition) -> int:
        assignment = self.poller._ledger.find(*partition)
        assert assignment is not None
        return self.dispatcher._lanes.pending([assignment])


def holding(*offsets: int) -> Iterator[tuple[int, Scan]]:
    yield 0, Scan([Found((*SOURCE, b"a"), Mark(offset, 1), False) for offset in offsets], {}, 1_000)


def test_what_was_queued_of_a_retry_log_that_was_cut_runs_when_it_comes_again(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    """And the source of its number is read on where it was."""
    monkeypatch.setattr(parking, "scans", lambda *about: holding(0, 1, 2))
    pod = Pod(loop)
    pod.poller._ledger.reach(*SOURCE, 3)
    pod.read(RETRY)
    assert pod.queued(RETRY) == 3
    pod.poller._restart({RETRY: 0})
    assert pod.reading.positions == {RETRY: 0, SOURCE: 3}
    assert pod.reading.paused == {RETRY, SOURCE}
    pod.learn()
    assert pod.queued(RETRY) == 0
    pod.read(RETRY)
    assert pod.queued(RETRY) == 3


def test_what_was_on_the_way_to_the_retry_topic_runs_when_its_source_gives_it_again(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    monkeypatch.setattr(parking, "scans", lambda *about: holding())
    pod = Pod(loop)
    pod.read(SOURCE)
    source = pod.poller._ledger.find(*SOURCE)
    assert source is not None
    source.parks = True
    pod.on_loop(lambda: pod.dispatcher.keys._park([(*SOURCE, b"a")]))
    assert (pod.dispatcher.keys.parked, pod.queued(SOURCE)) == (1, 0)
    pod.poller._restart({SOURCE: 0})
    pod.learn()
    assert pod.dispatcher.keys.parked == 0
    pod.read(SOURCE)
    assert pod.queued(SOURCE) == 3
