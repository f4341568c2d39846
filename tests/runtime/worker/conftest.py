"""What tests of the poll thread share: an event loop in a thread of its own, as a pod has one beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator, Mapping

import pytest

from headrace.config import Config
from headrace.flow.added import Barrier
from headrace.flow.partitions import Partition
from headrace.kafka.added import Seen
from headrace.worker import added
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def nothing_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all partitions have been there from the first: their Kafka, which is none, is not asked."""

    def look(
        config: Config, partitions: Collection[Partition], barriers: Mapping[Partition, Barrier], now: float
    ) -> list[Seen]:
        return [Seen(topic, 1, {}, {}, frozenset()) for topic in {topic for topic, _ in partitions}]

    monkeypatch.setattr(added, "_is_fresh", lambda one, now: False)
    monkeypatch.setattr(added, "look", look)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run a loop until the test is over; what runs in it then is cancelled."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(made)])
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), made).exception(PATIENCE)
    made.call_soon_threadsafe(made.stop)
    thread.join()
    made.close()
