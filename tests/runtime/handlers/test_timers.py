"""Timers of the loop that functions run on: none is rounded up, and no wait misses what comes."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from headrace.handlers import timers
from tests.waiting import PATIENCE, until

ASKED, ROUNDED = 0.0012, 0.002
"""Seconds of a wait, and what it lasts at least where whole milliseconds are counted."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = timers.loop()
    yield made
    made.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there the loop is Python's own")
def test_a_wait_is_not_rounded_up_to_milliseconds(loop: asyncio.AbstractEventLoop) -> None:
    async def lasted() -> float:
        begun = time.perf_counter()
        await asyncio.sleep(ASKED)
        return time.perf_counter() - begun

    async def is_short() -> bool:
        return await lasted() < ROUNDED

    until("a wait that nothing else made longer", lambda: loop.run_until_complete(is_short()), every=0)


def test_what_comes_ends_a_wait(loop: asyncio.AbstractEventLoop) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)

    async def first() -> bytes:
        loop.call_later(2 * PATIENCE, loop.stop)
        loop.run_in_executor(None, there.send, b"came")
        return await asyncio.wait_for(loop.sock_recv(here, 4), PATIENCE)

    with here, there:
        assert loop.run_until_complete(first()) == b"came"


def test_what_another_thread_asks_for_ends_a_wait(loop: asyncio.AbstractEventLoop) -> None:
    async def told() -> str:
        found = loop.create_future()
        await loop.run_in_executor(None, lambda: loop.call_soon_threadsafe(found.set_result, "told"))
        return str(await asyncio.wait_for(found, PATIENCE))

    assert loop.run_until_complete(told()) == "told"
