"""Calls the user's Python function in worker processes, each of which handles one record at a time.

While calls are quick, a worker is given more records than the one it handles, and its answers are read together: a
hand-over and its answer cost as much as a short call. What it was given and has not begun is given back whenever that
one takes longer, or the worker ends: to whoever asked, who decides anew whether it may begin.

Whatever a worker does concerns the record that it has begun: past the time-out it is killed, and one that ended is
replaced when the next record needs one. Others go on. Answers are JSON that is checked, never pickles: nothing that a
function does to its process reaches this one. It must not know Kafka.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from pydantic import TypeAdapter

from headrace import config
from headrace.flow.policy import NOT_BEGUN, Failed
from headrace.handlers import Broken
from headrace.handlers.processes import GRACE, Answer, Call, Ended, Worker
from headrace.handlers.wire import is_exhausted
from headrace.record import Record

log = logging.getLogger(__name__)

START = 600.0
"""Seconds that a worker has to import the function's module."""

SPAN = 0.05
"""Seconds of work that a worker is given ahead, by what calls typically take: what one turn costs is shared by many."""

SLOW = 0.1
"""Seconds of one call after which what waits behind it is taken back."""

BEGIN = 2.0
"""Seconds in which a record is begun or given back: this process may have stood still since it was sure whose it is."""

AHEAD = 128
"""The most records that all workers are given besides those that they handle."""

WEIGHT = 1 / 16
"""Of the last call in what is typical."""

LONG = 1.0
"""Seconds as which a longer call counts in what is typical."""

FAILED: TypeAdapter[Failed] = TypeAdapter(Failed)


class IsolatedHandler:
    """A handler that calls one function in at most ``most`` processes of its own, started as needed.

    ``observe`` is told the seconds of each attempt; ``ahead`` is how many records are taken now besides those that run.
    """

    most_ahead = AHEAD

    def __init__(
        self, settings: config.Python, *, concurrency: int, observe: Callable[[float], object] = lambda _: None
    ) -> None:
        self._settings = settings
        self._most = concurrency
        self.ahead = 0
        self._observe = observe
        self._limit = settings.timeout + GRACE
        self._waiting: deque[Call] = deque()
        self._all: set[Worker] = set()
        self._ready: set[Worker] = set()
        self._starting = 0
        self._typical: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn: asyncio.Handle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def _depth(self) -> int:
        """How many records a worker is given besides the one it handles; none while nobody knows how long it takes."""
        if self._typical is None:
            return 0
        most = AHEAD // self._most
        return min(most, int(SPAN / self._typical)) if self._typical else most

    async def start(self) -> None:
        """Start the first worker; raises `Broken` when it cannot load the function."""
        await self._fresh()

    async def handle(self, record: Record) -> Failed | None:
        """Call the function once with ``record``; None is success, `NOT_BEGUN` that it was not called."""
        call = Call(record, time.monotonic() + BEGIN, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._hand_over_soon()
        try:
            return await call.outcome
        except asyncio.CancelledError:
            await self._cancel(call)
            raise

    def withdraw(self) -> None:
        """Give back all that no worker has begun."""
        _give_back(self._waiting)
        self._waiting.clear()
        for worker in self._ready:
            self._take_back(worker)

    async def close(self) -> None:
        """End all workers, with what still runs."""
        self._ready.clear()
        for timer in (self._turn, self._look, self._watch):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*map(self._drop, list(self._all)))

    def _hand_over_soon(self) -> None:
        """Hand over in the next turn of the loop, together with what comes in this one."""
        if self._waiting and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Give what waits to workers, and have more of them started for what none can begin at once."""
        self._turn = None
        depth, behind, now = self._depth, 0, time.monotonic()
        given = set()
        while self._waiting and (worker := self._free(depth)) is not None:
            call = self._waiting.popleft()
            if now > call.until:
                call.answer(NOT_BEGUN)
                continue
            behind += bool(worker.calls)
            worker.give(call)
            given.add(worker)
        for worker in given:
            worker.flush()
        self._start_more(behind + len(self._waiting))
        self._arm()

    def _free(self, depth: int) -> Worker | None:
        """Return the worker that has least of those that take one more."""
        free = [one for one in self._ready if len(one.calls) < (1 if one.is_slow or one.is_clogged else 1 + depth)]
        return min(free, key=lambda one: len(one.calls), default=None)

    def _start_more(self, wanted: int) -> None:
        for _ in range(min(wanted, self._most - len(self._ready) - self._starting)):
            self._starting += 1
            self._do(self._add())

    async def _add(self) -> None:
        """Start a worker; if none starts, what has waited longest fails by it."""
        try:
            await self._fresh()
        except (Broken, OSError) as error:
            log.warning("no worker process starts: %s", error)
            if self._waiting:
                text = f"no worker process starts: {error}"
                failed = Failed(message=text, exception="headrace.Broken", unanswered=True)
                self._waiting.popleft().answer(failed)
        finally:
            self._starting -= 1
        self._hand_over_soon()

    async def _fresh(self) -> None:
        """Start a worker and have it load the function; raises `Broken`."""
        worker = await Worker.start(self._settings)
        self._all.add(worker)
        try:
            said = await worker.greeting(START)
        except Ended as error:
            said = f"the worker process {error} while it imported {self._settings.function}"
        except TimeoutError:
            said = f"{self._settings.function} is not imported after {START:.0f} s"
        if said:
            await self._drop(worker)
            raise Broken(said)
        self._ready.add(worker)
        worker.tell(lambda: self._read(worker))

    def _arm(self) -> None:
        """Say what is taken ahead; look for answers when half of them should be there, and for time-outs when due."""
        self.ahead = self._depth * sum(not worker.is_slow for worker in self._ready)
        loop = asyncio.get_running_loop()
        if self._look is None and self._typical is not None:
            many = [len(worker.calls) for worker in self._ready if len(worker.calls) > 1]
            if many:
                self._look = loop.call_later(min(many) / 2 * self._typical, self._look_at_all)
        if self._watch is None:
            begun = [worker.begun for worker in self._ready if worker.calls]
            if begun:
                self._watch = loop.call_later(min(begun) + self._limit - time.monotonic(), self._look_for_late)

    def _look_at_all(self) -> None:
        """Take the answers of those that were given several records, and take back what would wait for long."""
        self._look = None
        for worker in [one for one in self._ready if len(one.calls) > 1]:
            self._read(worker)
            if len(worker.calls) > 1 and time.monotonic() - worker.begun > SLOW:
                worker.is_slow = True
                self._take_back(worker)
        self._arm()

    def _look_for_late(self) -> None:
        self._watch = None
        now = time.monotonic()
        for worker in [one for one in self._ready if one.calls and now - one.begun >= self._limit]:
            self._take_back(worker)
            late = worker.calls[0] if worker.calls else None
            self._read(worker)
            if worker in self._ready and worker.calls and worker.calls[0] is late:
                self._end(worker, self._abort(worker))
        self._arm()

    def _read(self, worker: Worker) -> None:
        """Take a worker's answers; one that has ended, or is at its end, has no more to begin."""
        if worker not in self._ready:
            return
        has_ended = worker.has_ended
        spent = self._take_answers(worker)
        if has_ended or worker.is_closed or not worker.is_sound:
            self._end(worker, self._bury(worker))
        elif spent:
            self._end(worker, self._drop(worker))
        else:
            worker.listen_if_due()
        self._hand_over_soon()

    def _take_back(self, worker: Worker) -> None:
        """Give back what a worker has not begun."""
        _give_back(worker.take_back())
        worker.listen_if_due()

    def _take_answers(self, worker: Worker) -> bool:
        """Hand on a worker's answers; return whether it has run out of memory."""
        spent = False
        for answer in worker.receive():
            call = worker.calls[0] if worker.calls else None
            try:
                failed = _outcome(answer)
            except ValueError:
                call = None
            if call is None or call.number != answer.number:
                worker.is_sound = False
                break
            worker.calls.popleft()
            worker.begun, worker.is_slow = time.monotonic(), False
            if answer.text is not None:
                self._note(answer.seconds)
            call.answer(failed)
            spent = spent or is_exhausted(failed)
        return spent

    def _note(self, seconds: float) -> None:
        self._observe(seconds)
        typical = self._typical or seconds
        self._typical = typical + (min(seconds, LONG) - typical) * WEIGHT

    def _end(self, worker: Worker, ending: Coroutine[Any, Any, None]) -> None:
        """Give a worker nothing more; what it was given and has not begun is begun elsewhere."""
        self._ready.discard(worker)
        worker.listen(wanted=False)
        _give_back(worker.take_back())
        self._do(ending)

    async def _bury(self, worker: Worker) -> None:
        """Say that a worker that ended has crashed by what it had begun."""
        how = await worker.ended()
        self._take_answers(worker)
        if worker.calls:
            call = worker.calls.popleft()
            self._observe(time.monotonic() - worker.begun)
            log.error("a worker process %s while handling %s", how, _at(call.record))
            text = f"the worker process {how} while it handled this record"
            call.answer(Failed(message=text, exception="headrace.Crash", internal=True, crashed=True))
        self._forget(worker)

    async def _abort(self, worker: Worker) -> None:
        """End a worker past its time-out. One that computes is no sign of a target that is away."""
        call, computes = worker.calls[0], worker.computes
        log.warning(
            "the handler runs longer than %g s, its process is ended: %s", self._settings.timeout, _at(call.record)
        )
        await worker.abort()
        self._take_answers(worker)
        if worker.calls:
            self._observe(time.monotonic() - worker.begun)
        doing = "computes" if computes else "waits"
        text = f"{doing} after {self._settings.timeout:g} s: its process was ended, and the log says where it was"
        failed = Failed(
            message=text,
            exception="builtins.TimeoutError",
            timed_out=True,
            unanswered=not computes,
            internal=computes,
        )
        call.answer(failed)
        self._forget(worker)

    async def _drop(self, worker: Worker) -> None:
        """End a worker whatever it does, unless somebody else has meanwhile."""
        self._ready.discard(worker)
        if worker in self._all:
            await worker.kill()
        if worker in self._all:
            self._take_answers(worker)
            self._forget(worker)

    async def _cancel(self, call: Call) -> None:
        """Begin a call no more, and end the worker that has begun it."""
        if call in self._waiting:
            self._waiting.remove(call)
        for worker in [one for one in self._ready if call in one.calls]:
            self._take_back(worker)
            self._read(worker)
            if call in worker.calls:
                await self._drop(worker)

    def _forget(self, worker: Worker) -> None:
        """Let go of a worker that is gone."""
        self._all.discard(worker)
        _give_back([*worker.take_back(), *worker.calls])
        worker.calls.clear()
        worker.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _outcome(answer: Answer) -> Failed | None:
    """Return what an answer means; raises ValueError for one that means nothing."""
    if answer.text is None:
        return NOT_BEGUN
    return FAILED.validate_json(answer.text) if answer.text else None


def _give_back(calls: Iterable[Call]) -> None:
    for call in calls:
        call.answer(NOT_BEGUN)


def _at(record: Record) -> str:
    return "{}/{}@{}".format(*record.source)
