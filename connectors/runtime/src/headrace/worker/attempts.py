"""One attempt at a record: its handler is called, and whatever it does to its own task is that attempt's failure."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from headrace.flow.lanes import Job
from headrace.flow.policy import Failed
from headrace.handlers import exceptions
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.worker.deduplication import Claim
from headrace.worker.runners import Runners, own_task

Handle = Callable[[Record], Coroutine[Any, Any, Failed | None]]
log = logging.getLogger(__name__)

OWN_CANCELLATION = Failed(
    message="the handler cancelled its own task", exception="asyncio.CancelledError", internal=True
)


class Hands(Protocol):
    """A handler that takes records before it begins them, and observes itself how long attempts take."""

    ahead: int
    """How many records it takes now besides those that may run at once; at most ``most_ahead``."""

    most_ahead: int

    def withdraw(self) -> None:
        """Give back, as `NOT_BEGUN`, all that has not begun."""


class Attempts:
    """Calls ``handle``, in tasks of ``runners``; what are ``hands`` observe themselves how long it takes."""

    def __init__(self, handle: Handle, runners: Runners, metrics: Metrics, hands: Hands | None) -> None:
        self._handle = handle
        self._runners = runners
        self._hands = hands
        self._dwell, self._processing = metrics.dwell.observe, metrics.processing.observe
        self._end_to_end = metrics.end_to_end.observe

    async def make(self, job: Job, claim: Claim | None) -> Failed | None:
        """Attempt a record once, and settle the claim there is to its message."""
        age, begun = age_of(job.record), time.monotonic()
        if job.attempt == 1 and age is not None:
            self._dwell(age)
        failed = await (self._handled(job.record) if claim is None else self._handled_apart(job.record))
        job.ended = time.monotonic()
        took = job.ended - begun
        if self._hands is None:
            self._processing(took)
        if failed is None and age is not None:
            self._end_to_end(age + took)
        if claim is not None:
            await claim.settle(done=failed is None)
        return failed

    async def _handled_apart(self, record: Record) -> Failed | None:
        """Handle once in a task that ends with it, so that nothing it left behind can cancel what follows."""
        task = asyncio.ensure_future(self._handled(record))
        try:
            return await task
        except asyncio.CancelledError:
            if self._runners.are_ending:
                raise
            return OWN_CANCELLATION

    async def _handled(self, record: Record) -> Failed | None:
        """Handle once; what a handler lets pass is a bug, and fails this record's attempt, not every record's."""
        if record.unreadable is not None:
            return Failed(message=record.unreadable, exception="headrace.Unreadable", retriable=False)
        runner = own_task()
        try:
            failed = await self._handle(record)
            if runner.cancelling():
                await asyncio.sleep(0)  # raises what was asked for and has not come yet
            return failed
        except asyncio.CancelledError:
            if self._runners.are_ending:
                raise
            return OWN_CANCELLATION
        except BaseException as error:
            log.exception("This is a bug: the attempt at %s/%d@%d fails by it", *record.source)
            text = "a bug of the consumer: its log has the traceback"
            return Failed(message=text, exception=exceptions.name(error), internal=True)


def age_of(record: Record) -> float | None:
    """Return for how many seconds the record has been on its topic, where it says since when."""
    if record.timestamp is None:
        return None
    age = time.time() - record.timestamp / 1000
    return age if age > 0 else 0.0
