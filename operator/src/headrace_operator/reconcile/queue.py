"""Keys that are due: one worker a key, equal keys merge, each key has its own due time, and a bounded number at once.

It must not know what a key stands for. No key is lost but by the queue's own end: a bug in a worker ends `Queue.run`,
and with it the process; a worker that someone else cancelled is tried again. Who waits here waits within no deadline:
where more is due than can be done, each is looked at less often.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from headrace_operator.reconcile.turns import Key, Turns

CANCELLED = 5.0
"""Seconds after which a key is tried again whose worker was cancelled, but not by the queue."""

CLOSED = 0.1
"""Seconds between two looks at whether work may begin."""

NEWS = 20.0
"""What was rung so many seconds before work may begin, the time of a Lease and more, may be what nobody acted on."""

START = 1.0
"""Seconds by which that is begun with before all else."""

LATE = 15.0
"""Seconds after its time from which on a pass is called late: three ticks of a Consumer."""

PUNCTUAL = 60.0
"""Seconds without a late pass after which the queue is called punctual again."""

log = logging.getLogger(__name__)


WORKING: ContextVar[Key | None] = ContextVar("working", default=None)
"""The key that the running task works on."""


class Queue:
    """Calls ``reconcile`` with each due key, never twice at once with the same; ``place`` says what its pass waits for.

    ``may`` says whether anything may be begun with. ``delay`` is how many seconds the last pass began after its time,
    or after it might.
    """

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[None]],
        place: Callable[[Key], str] = lambda _: "",
        may: Callable[[], bool] = lambda: True,
    ) -> None:
        self.delay = 0.0
        self._reconcile = reconcile
        self._may, self._since = may, 0.0
        self._turns = Turns(place)
        self._late_at: float | None = None
        self._held: dict[Key, tuple[float, float]] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._turns) + len(self._held)

    def put(self, key: Key, after: float = 0.0) -> None:
        """Make ``key`` due in ``after`` seconds, or at the time it is due already if that is sooner."""
        now = asyncio.get_running_loop().time()
        if self._may():
            self._turns.put(key, now + after)
        else:
            due, _ = self._held.get(key, (now + after, now))
            self._held[key] = (min(due, now + after), now)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; raises what a worker raised."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wait()
                self._start(group)
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(self._turns.next()):
                        await self._wake.wait()

    async def _wait(self) -> None:
        """Return once work may begin; what was due before is in time."""
        while not self._may():
            self.delay = 0.0
            await asyncio.sleep(CLOSED)
            self._since = asyncio.get_running_loop().time()
        self._let_go()

    def _let_go(self) -> None:
        """Make due what was rung while nothing might be begun with: first what was rung of late, if anything was."""
        news = {key for key, (_, rung) in self._held.items() if self._since - rung <= NEWS}
        for key, (due, _) in self._held.items():
            self._turns.put(key, max(due, self._since + (START if news and key not in news else 0.0)))
        self._held.clear()

    def _start(self, group: asyncio.TaskGroup) -> None:
        now = asyncio.get_running_loop().time()
        while taken := self._turns.take(now):
            key, late = taken
            self.delay = min(late, now - self._since)
            self._tell(key, now)
            group.create_task(self._work(key), name=str(key))

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
            self._turns.end(key, asyncio.get_running_loop().time())
            self._wake.set()

    def _tell(self, key: Key, now: float) -> None:
        """Say once that passes begin late, and once that they do no longer."""
        if self.delay >= LATE:
            if self._late_at is None:
                log.warning(
                    "The pass over %s began %.0f s late: more is due than is done at once. Resources are looked at "
                    "less often; headrace_operator_queue_delay_seconds says how late.", key, self.delay
                )  # fmt: skip
            self._late_at = now
        elif self._late_at is not None and now >= self._late_at + PUNCTUAL:
            log.info("No pass has begun %.0f s late for %.0f s", LATE, PUNCTUAL)
            self._late_at = None


def _is_asked_to_end() -> bool:
    """Tell whether this very task is cancelled, and not something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
