"""Handlers are tried on the loop that they run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from headrace.handlers import timers


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Have each test's loop made as the runtime makes its own."""
    return {"own": timers.loop}
