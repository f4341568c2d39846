"""What all rooms of tests share: one event loop of the main thread, and examples made at random without a clock.

pytest-asyncio asks for the thread's loop before its own; Python 3.11 then makes one that nobody closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("headrace", deadline=None)  # how long one example takes says more of the machine than of us
settings.load_profile("headrace")


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
