"""Work on an event loop and a thread of its own, so that whatever keeps the main loop busy does not make it late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Future


async def apart(work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` on a loop of its own until it ends, which raises what it raised; cancelled, it is cancelled, too."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
    thread = asyncio.create_task(asyncio.to_thread(_run, work, begun))
    loop, task = await asyncio.wrap_future(begun)
    try:
        await asyncio.shield(thread)
    except asyncio.CancelledError:
        loop.call_soon_threadsafe(task.cancel)
        await thread
        raise


def _run(
    work: Callable[[], Awaitable[None]], begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]]
) -> None:
    async def whole() -> None:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        await work()

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(whole())
