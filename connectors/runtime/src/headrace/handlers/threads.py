"""Threads in which a plain function is called for the event loop, many records a thread while the function is quick.

A hand-over to a thread costs more than most calls. So while calls are typically quick, one thread calls for all that
wait, and its answers come back together; whatever is not begun soon then gets more threads. While they are not quick,
each record gets a thread of its own at once. Nothing can stop a call: one that takes too long is reported. A context
variable that one call sets is not seen by another.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context
from queue import SimpleQueue

from headrace.record import Record

QUICK = 0.000_5
"""Seconds of a typical call below which records share a thread."""

WEIGHT = 1 / 16
"""Of the last call in what is typical."""

SOON = 0.005
"""Seconds after which what waits gets more threads, and what is answered is told."""


class Threads:
    """At most ``most`` threads that call ``function``, which must not raise.

    ``late`` is told each record whose call takes longer than ``timeout`` seconds.
    """

    def __init__(
        self, function: Callable[[Record], object], most: int, timeout: float, late: Callable[[Record], None]
    ) -> None:
        self._function = function
        self._most = most
        self._timeout, self._late = timeout, late
        self._waiting: deque[tuple[asyncio.Future[object], Record]] = deque()
        self._answered: deque[tuple[asyncio.Future[object], object]] = deque()
        self._running: dict[int, tuple[float, Record]] = {}
        self._typical = 1.0
        self._lock = threading.Lock()
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._started = self._working = 0
        self._is_telling = False
        self._look: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None

    def call(self, record: Record) -> asyncio.Future[object]:
        """Have the function called; from the event loop's thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        self._waiting.append((future, record))
        if self._lacks_threads:
            with self._lock:
                if self._lacks_threads:
                    self._begin(loop)
        if self._look is None:
            self._look = loop.call_later(SOON, self._help, loop)
        if self._watch is None:
            self._watch = loop.call_later(self._timeout, self._report, loop, {})
        return future

    def close(self) -> None:
        """End the threads that have nothing to do; a call that goes on is abandoned."""
        for timer in (self._look, self._watch):
            if timer is not None:
                timer.cancel()
        for _ in range(self._started):
            self._calls.put(False)

    @property
    def _lacks_threads(self) -> bool:
        return not self._working or self._typical > QUICK

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the last record called: raises RuntimeError, and leaves it, when nobody does and no thread can start."""
        try:
            self._add_thread(loop)
        except RuntimeError:
            if not self._working:
                self._waiting.pop()
                raise

    def _add_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set one more to work, if there is one that does not; under the lock. Raises RuntimeError when none starts."""
        if self._working == self._most:
            return
        if self._working == self._started:
            threading.Thread(target=self._work, args=(loop,), name="handler", daemon=True).start()
            self._started += 1
        self._working += 1
        self._calls.put(True)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._calls.get():
            while self._waiting or not self._rests():
                self._call_all(loop)

    def _rests(self) -> bool:
        """Stop working unless something has come: who brings more looks whether one works after he has put it down."""
        with self._lock:
            self._working -= 1
            if self._waiting:
                self._working += 1
                return False
            self._running.pop(threading.get_ident(), None)
            return True

    def _call_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call for one after another until none waits: all but the call is done once for many, or without asking."""
        waiting, answered, running, thread = self._waiting, self._answered, self._running, threading.get_ident()
        call, clock, context = self._function, time.monotonic, Context()
        begun = clock()
        while waiting:
            try:
                future, record = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            running[thread] = begun, record
            answered.append((future, context.run(call, record)))
            ended = clock()
            took, begun = ended - begun, ended
            self._typical += (took - self._typical) * WEIGHT
            if context:
                context = Context()
            if not self._is_telling and (took > QUICK or not waiting):
                self._is_telling = True
                loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_telling = False
        while self._answered:
            future, outcome = self._answered.popleft()
            if not future.done():
                future.set_result(outcome)

    def _help(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give what still waits twice as many threads: those that work may stand still."""
        still_waiting = bool(self._waiting)  # before: whoever takes the last one tells what is answered by then
        self._tell()
        self._look = None
        if not still_waiting:
            return
        with self._lock, suppress(RuntimeError):
            for _ in range(min(self._working, len(self._waiting))):
                self._add_thread(loop)
        self._look = loop.call_later(SOON, self._help, loop)

    def _report(self, loop: asyncio.AbstractEventLoop, told: Mapping[int, float]) -> None:
        """Report the calls that take too long, each once, and look again when the next one would."""
        now = time.monotonic()
        running = self._running.copy()
        late = {thread: begun for thread, (begun, _) in running.items() if now - begun >= self._timeout}
        for thread, begun in late.items():
            if told.get(thread) != begun:
                self._late(running[thread][1])
        self._watch = None
        if self._waiting or running:
            next_due = min((begun for thread, (begun, _) in running.items() if thread not in late), default=now)
            self._watch = loop.call_later(next_due + self._timeout - now, self._report, loop, late)
