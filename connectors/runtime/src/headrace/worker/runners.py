"""The tasks in which records are handled: what a handler does to the one it runs in is done to its attempt alone.

It must not know what a record is.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from itertools import count
from typing import Any

FAIR = 64
"""Records after which a runner lets others have the loop, also when its handler never waits."""


class RunnerLost(Exception):
    """A runner ended, though it runs as long as the process: its record would wait for ever."""


class Runners:
    """So many tasks that handle one record after another, by ``work``.

    A task goes on as long as its attempts leave no trace in it; then another takes its place.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
        self._work = work
        self._number = number
        self._context = copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting: deque[asyncio.Future[None]] = deque()
        self._lost: asyncio.Future[str] | None = None
        self.are_ending = False

    async def run(self) -> None:
        """Work until cancelled; raises RunnerLost when one ends without another in its place."""
        self._lost = asyncio.get_running_loop().create_future()
        for _ in range(self._number):
            self._start()
        try:
            raise RunnerLost(f"one that handles records has ended: {await self._lost}")
        finally:
            self.are_ending = True
            for task in self._tasks:
                task.cancel()

    async def rest(self) -> None:
        """Let the runner that asks wait until it is woken."""
        woken = asyncio.get_running_loop().create_future()
        self._resting.append(woken)
        await woken

    def wake(self, most: int) -> None:
        """Wake the runners that have rested longest."""
        for _ in range(min(most, len(self._resting))):
            woken = self._resting.popleft()
            if not woken.done():
                woken.set_result(None)

    def _start(self) -> None:
        """Start one in the context of the process, not in that of the attempt whose place it takes."""
        task = asyncio.Task(self._run(), loop=asyncio.get_running_loop(), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    async def _run(self) -> None:
        trace = Trace()
        for turn in count(1):
            await self._work()
            if trace.is_left():
                break
            if turn % FAIR == 0:
                await asyncio.sleep(0)
        if not self.are_ending:
            self._tasks.discard(trace.task)
            self._start()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks and self._lost is not None and not self._lost.done():
            self._lost.set_result("it was cancelled" if task.cancelled() else repr(task.exception()))


class Trace:
    """What attempts have left in the task they ran in, besides what they returned."""

    def __init__(self) -> None:
        self.task = own_task()
        self._holders = sys.getrefcount(self.task)
        self._context = copy_context()

    def is_left(self) -> bool:
        """Whether somebody still has the task in hand or has cancelled it, or its context is not as it was."""
        try:
            same = copy_context() == self._context
        except Exception:  # noqa: BLE001 - what is in the context may refuse to be compared
            return True
        return not same or sys.getrefcount(self.task) != self._holders or self.task.cancelling() > 0


def own_task() -> asyncio.Task[Any]:
    """Return the task that runs."""
    task = asyncio.current_task()
    assert task is not None
    return task
