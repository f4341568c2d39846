"""What tests of the poll thread share: an event loop in a thread of its own, as a pod has one beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.waiting import PATIENCE


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
