"""What all rooms of tests share: one event loop of the main thread, made and closed here.

pytest-asyncio asks for the thread's loop before its own; Python 3.11 then makes one that nobody closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
