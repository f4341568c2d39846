"""Which record ends the process: suspects run only once their crash is counted, those counted before one at a time.

After an unclean stop nobody knows which of the records that ran then was the cause. So all that comes first is suspect:
before some of them run together, the next owner is told so by a commit; if the process ends then, each of them is run
alone next time, and what ends the process alone is the cause. Who lives through an attempt is suspect no more. The idea
of a count that is written before the attempt is that of a write-ahead log. Who outlives its time-out holds up nobody
longer: it leaves, and keeps its count. Lives on the event loop's thread; knows no Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from headrace import names
from headrace.flow.lanes import Job
from headrace.worker import last_words

log = logging.getLogger(__name__)

NAMED = 3
"""Suspects that the container's last words name."""


class Ahead(NamedTuple):
    """Records whose crash is to be committed before they run; ``written`` is called on the event loop's thread then."""

    jobs: list[Job]
    written: Callable[[], None]


class Quarantine:
    """Suspects that wait, and those that run; whatever comes meanwhile waits with them."""

    def __init__(self, running: Callable[[], Collection[Job]], timeout: float) -> None:
        """``running`` returns what has begun, with what waits in here; ``timeout`` is an attempt's, in seconds."""
        self._running = running
        self._timeout = timeout
        self._watched: dict[Job, asyncio.TimerHandle] = {}
        self._late: set[Job] = set()
        self._waiting: dict[Job, asyncio.Future[None]] = {}
        self._admitted: set[Job] = set()
        self._asked: deque[Ahead] = deque(maxlen=1)

    @property
    def is_active(self) -> bool:
        """Whether suspects wait or run."""
        return bool(self._waiting or self._admitted)

    def asked_before(self) -> Ahead | None:
        """Return what is to be committed, once, by the poll thread: with it whatever was finished before this call."""
        return self._asked.popleft() if self._asked else None

    def has_counted(self, job: Job) -> bool:
        """Whether a crash of ``job``, which runs, is counted; also of one that is late and holds up nobody."""
        return job in self._admitted or job in self._late

    async def enter(self, job: Job) -> None:
        """Wait until ``job`` may run: its crash is counted, and it is alone if one was counted before."""
        self._forget(job)
        admitted = self._waiting[job] = asyncio.get_running_loop().create_future()
        self._admit()
        await admitted

    def leave(self, job: Job) -> None:
        """Note that a record runs no more, whether it was suspect or not."""
        if self._watched or self._late or self._waiting or self._admitted:
            self._forget(job)
            self._let_out(job)

    def _forget(self, job: Job) -> None:
        self._late.discard(job)
        watch = self._watched.pop(job, None)
        if watch is not None:
            watch.cancel()

    def _watch(self, job: Job) -> None:
        """Let ``job`` hold up nobody once it has run for longer than its time-out: it may hang for ever."""
        if job not in self._watched:
            self._watched[job] = asyncio.get_running_loop().call_later(self._timeout, self._overrun, job)

    def _overrun(self, job: Job) -> None:
        del self._watched[job]
        self._late.add(job)
        self._let_out(job)

    def _let_out(self, job: Job) -> None:
        if not self.is_active:
            return
        self._admitted.discard(job)
        if not self.is_active:
            last_words.say("")
        self._admit()

    def _admit(self) -> None:
        if self._admitted:
            return
        chosen = self._chosen()
        if not chosen:
            return
        last_words.say(names.HANDLING + _listed(chosen))
        if chosen[0].crashes:
            log.warning("handling %s alone: %d times the process ended with it", _listed(chosen), chosen[0].crashes)
        self._admitted = set(chosen)
        self._asked.append(Ahead(chosen, lambda: self._begin(chosen)))

    def _chosen(self) -> list[Job]:
        """Return who is next: one that was there when the process ended, if nothing else runs; else all the others."""
        known = next((job for job in self._waiting if job.crashes), None)
        if known is not None:
            beside = [job for job in self._running() if job not in self._waiting and job not in self._late]
            if not beside:
                return [known]
            for job in beside:
                self._watch(job)
        return [job for job in self._waiting if not job.crashes]

    def _begin(self, chosen: Sequence[Job]) -> None:
        for job in chosen:
            admitted = self._waiting.pop(job)
            self._watch(job)
            if not admitted.done():
                admitted.set_result(None)


def _listed(jobs: Sequence[Job]) -> str:
    places = ", ".join("{}/{}@{}".format(*job.record.source) for job in jobs[:NAMED])
    more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
    return f"one of {places}{more}" if len(jobs) > 1 else places
