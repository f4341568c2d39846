"""How long tests wait: for what never comes, not for what comes late. A wait is minutes, and only a failure ends it.

How quick a thing is, is no outcome. The one promise of seconds stands in tests/operator/reconcile/test_conventions.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

PATIENCE = 300.0
"""Seconds to wait for a condition, or for a command to end."""

SELDOM = 2.0
"""The longest pause between two questions, in seconds."""

Value = TypeVar("Value")


def pause(taken: float, every: float = 0.1) -> float:
    """Return how many seconds to wait before the next question, where the last one took ``taken`` seconds.

    Asking takes a quarter of the time at most: what takes long, as kubectl or a pass does, is asked less often.
    """
    return max(every, min(SELDOM, 3 * taken))


async def look_until(holds: Callable[[], object], look: Callable[[], Awaitable[object]], every: float = 0.1) -> None:
    """Look again and again until something holds; raises ``TimeoutError`` where it does not."""
    async with asyncio.timeout(PATIENCE):
        rest = 0.0
        while not holds():
            await asyncio.sleep(rest)
            begun = time.monotonic()
            await look()
            rest = pause(time.monotonic() - begun, every)


def until(what: str, holds: Callable[[], Value | None], every: float = 0.1) -> Value:
    """Await a condition and return its value; raises ``AssertionError`` saying ``what`` was awaited in vain."""
    deadline = time.monotonic() + PATIENCE
    asked = time.monotonic()
    while not (value := holds()):
        answered = time.monotonic()
        assert answered < deadline, f"waited {PATIENCE:.0f} s in vain for {what}"
        time.sleep(pause(answered - asked, every))
        asked = time.monotonic()
    return value
