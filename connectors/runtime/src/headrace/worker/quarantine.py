"""Which record ends the process: suspects run only once their crash is counted, those counted before one at a time.

After an unclean stop nobody knows which of the records that ran then was the cause. So all that comes first is suspect:
before some of them run together, the next owner is told so by a commit; if the process ends then, each of them is run
alone next time, and what ends the process alone is the cause. Who lives through an attempt is suspect no more. The idea
of a count that is written before the attempt is that of a write-ahead log. Lives on the event loop's thread; knows no
Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
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

    def __init__(self, running: Callable[[], int]) -> None:
        """``running`` returns how many records have begun, with those that wait in here."""
        self._running = running
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

    async def enter(self, job: Job) -> None:
        """Wait until ``job`` may run: its crash is counted, and it is alone if one was counted before."""
        admitted = self._waiting[job] = asyncio.get_running_loop().create_future()
        self._admit()
        await admitted

    def leave(self, job: Job) -> None:
        """Note that a record runs no more, whether it was suspect or not."""
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
        if known is not None and self._running() == len(self._waiting):
            return [known]
        return [job for job in self._waiting if not job.crashes]

    def _begin(self, chosen: Sequence[Job]) -> None:
        for job in chosen:
            admitted = self._waiting.pop(job)
            if not admitted.done():
                admitted.set_result(None)


def _listed(jobs: Sequence[Job]) -> str:
    places = ", ".join("{}/{}@{}".format(*job.record.source) for job in jobs[:NAMED])
    more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
    return f"one of {places}{more}" if len(jobs) > 1 else places
