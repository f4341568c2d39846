"""Keys that are due: one worker a key, equal keys merge, each key has its own due time.

It must not know what a key stands for. No key is lost but by the queue's own end: a bug in a worker ends `Queue.run`,
and with it the process; a worker that someone else cancelled is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

CANCELLED = 5.0
"""Seconds after which a key is tried again whose worker was cancelled, but not by the queue."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Key:
    """Names one resource."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


WORKING: ContextVar[Key | None] = ContextVar("working", default=None)
"""The key that the running task works on."""


class Queue:
    """Calls ``reconcile`` with each due key, never twice at once with the same."""

    def __init__(self, reconcile: Callable[[Key], Awaitable[None]]) -> None:
        self._reconcile = reconcile
        self._due: dict[Key, float] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: Key, after: float = 0.0) -> None:
        """Make ``key`` due in ``after`` seconds, or at the time it is due already if that is sooner."""
        at = asyncio.get_running_loop().time() + after
        self._due[key] = min(at, self._due.get(key, at))
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; raises what a worker raised."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._start(group)
                self._wake.clear()
                waiting = (at for key, at in self._due.items() if key not in self._tasks)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(waiting, default=None)):
                        await self._wake.wait()

    def _start(self, group: asyncio.TaskGroup) -> None:
        now = asyncio.get_running_loop().time()
        for key in [key for key, at in self._due.items() if at <= now and key not in self._tasks]:
            del self._due[key]
            self._tasks[key] = group.create_task(self._work(key), name=str(key))

    async def _work(self, key: Key) -> None:
        WORKING.set(key)
        try:
            await self._reconcile(key)
        except asyncio.CancelledError:
            if _is_asked_to_end():
                raise
            log.exception("Something that was waited for was cancelled; again in %.0f s", CANCELLED)
            self.put(key, CANCELLED)
        finally:
            del self._tasks[key]
            self._wake.set()


def _is_asked_to_end() -> bool:
    """Tell whether this very task is cancelled, and not something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
