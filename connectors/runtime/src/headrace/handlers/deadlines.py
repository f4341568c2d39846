"""Ends attempts that take longer than their time-out: as each has the same, what began first is due first.

So one timer serves all, and an attempt costs a place in a queue, not a timer of its own. It must not know what runs.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any


class Deadlines:
    """Cancels what runs within it for longer than ``seconds``, which then raises ``TimeoutError``.

    As `asyncio.timeout`, for any number of tasks at once, each of which may be within it once. One event loop owns it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        self._due[_task()] = time.monotonic() + self._seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = _task()
        was_late = self._due.pop(task, None) is None
        if was_late and task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look(self) -> None:
        """End what is due by now, and look again when the next one is."""
        now, self._timer = time.monotonic(), None
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = asyncio.get_running_loop().call_later(due - now, self._look)
                return
            del self._due[task]
            task.cancel()


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
