"""Runs the handler: a fixed number of runners take ready lanes, and failed heads wait on one timer.

Lives on the event loop's thread. The poll thread hands it batches of records and takes finished ones from `finished`;
it must not know Kafka's client.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from prometheus_client import Histogram

from headrace import headers
from headrace.config import Config
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job, Lanes
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment
from headrace.flow.masking import masked
from headrace.flow.policy import DeadLetter, Failed, decide
from headrace.metrics import Metrics
from headrace.record import Headers, Record

Handle = Callable[[Record], Awaitable[Failed | None]]
log = logging.getLogger(__name__)

FAIR = 64
"""Attempts after which a runner lets others have the loop, also when its handler never waits."""

KEY_DIGITS = 12
"""Hexadecimal digits of a key's SHA-256 in the log."""

LOOK = 0.05
"""Seconds between looks whether the group has confirmed a lease that lapsed."""


class RunnerLost(Exception):
    """A runner ended, though it runs as long as the process: its record would wait for ever."""


class Dispatcher:
    """The lanes and the runners that work on them."""

    def __init__(self, config: Config, handle: Handle, metrics: Metrics, lease: Lease) -> None:
        self._lease = lease
        self._group = config.group
        self._retry = config.delivery.retry
        self._concurrency = config.delivery.concurrency
        self._handle = handle
        self._metrics = metrics
        self._lanes = Lanes()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()
        self._leaving: frozenset[Assignment] = frozenset()
        self.finished: deque[Finished] = deque()
        metrics.in_flight.set_function(lambda: self._lanes.running)

    async def run(self) -> None:
        """Work until cancelled; raises RunnerLost by a fault in here, not in the handling of a record."""
        runners = [asyncio.create_task(self._runner()) for _ in range(self._concurrency)]
        try:
            done, _ = await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
            lost = done.pop()
            why = "it was cancelled" if lost.cancelled() else repr(lost.exception())
            raise RunnerLost(f"one that handles records has ended: {why}")
        finally:
            for runner in runners:
                runner.cancel()

    def accept(self, jobs: Sequence[Job]) -> None:
        """Queue a batch of records."""
        for job in jobs:
            self._lanes.add(job)
        self._wake_runners()

    def retrying(self, assignment: Assignment) -> tuple[int, int]:
        """Return how many keys of a partition are tried again, and how many records they hold; for any thread."""
        return self._lanes.retrying(assignment)

    async def drain(self, assignments: Collection[Assignment]) -> None:
        """Drop what need not run and wait until nothing of these partitions runs; what fails is not tried again."""
        self._leaving = frozenset(assignments)
        self._lanes.drain(assignments)
        self._wake_runners()
        while self._lanes.pending(assignments):
            self._progress.clear()
            await self._progress.wait()

    def forget(self, assignments: Collection[Assignment]) -> None:
        """Drop everything of partitions that are no longer ours; what runs is finished in vain."""
        self._leaving = frozenset()
        self._lanes.forget(assignments)
        self._wake_runners()

    async def _runner(self) -> None:
        turns = 0
        while True:
            job = self._lanes.take()
            if job is None:
                await self._wait()
                continue
            if await self._may_begin(job):
                await self._attempt(job)
            else:
                self._drop(job)
            turns += 1
            if turns % FAIR == 0:
                await asyncio.sleep(0)

    async def _wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._idle.append(future)
        await future

    def _wake_runners(self) -> None:
        for _ in range(min(len(self._idle), self._lanes.ready)):
            future = self._idle.popleft()
            if not future.done():
                future.set_result(None)

    async def _may_begin(self, job: Job) -> bool:
        """Wait until it is sure whose the record is; return whether it is still ours."""
        while not job.assignment.given_away:
            if self._lease.holds(time.monotonic()):
                return True
            await asyncio.sleep(LOOK)
        return False

    def _drop(self, job: Job) -> None:
        """Leave a record to the new owner of its partition."""
        self._metrics.stale.inc()
        self._lanes.finish(job)
        self._progress.set()

    async def _attempt(self, job: Job) -> None:
        started = time.perf_counter()
        if job.attempt == 1:
            _observe_age(self._metrics.dwell, job.record)
        failed = await self._outcome(job.record)
        self._metrics.processing.observe(time.perf_counter() - started)
        if job.attempt > 1:
            self._metrics.retries.inc()
        if failed is None:
            self._succeed(job)
        elif job.assignment.given_away:
            self._drop(job)
        else:
            self._fail(job, failed, time.time())
        self._progress.set()

    async def _outcome(self, record: Record) -> Failed | None:
        """Handle once, in a task of its own: whatever is done to that task is done to this attempt alone."""
        if record.unreadable is not None:
            return Failed(message=record.unreadable, exception="headrace.Unreadable", retriable=False)
        attempt = asyncio.Task(self._tried(record), loop=asyncio.get_running_loop())
        try:
            return await attempt
        except asyncio.CancelledError:
            if not attempt.cancelled() or _is_cancelled():
                raise
            return Failed(message="the handler cancelled its own task", exception="asyncio.CancelledError")

    async def _tried(self, record: Record) -> Failed | None:
        """Handle once; what a handler lets pass is a bug, and fails this record's attempt, not every record's."""
        try:
            return await self._handle(record)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            log.exception("This is a bug: the attempt at %s/%d@%d fails by it", *record.source)
            name = f"{type(error).__module__}.{type(error).__qualname__}"
            return Failed(message="a bug of the consumer: its log has the traceback", exception=name)

    def _succeed(self, job: Job) -> None:
        self._metrics.ok.inc()
        _observe_age(self._metrics.end_to_end, job.record)
        self._finish(job, None, None)

    def _fail(self, job: Job, failed: Failed, now: float) -> None:
        job.first_failed_at = job.first_failed_at or now
        fate = decide(failed, attempt=job.attempt, retry=self._retry, jitter=random.random())
        if isinstance(fate, DeadLetter):
            log.warning("dead-lettered (%s): %s", fate.reason, _told(job, failed))
            self._bury(job, failed, fate, now)
            return
        log.info("failed, again in %.2f s: %s", fate.delay, _told(job, failed))
        self._metrics.retried.inc()
        job.attempt += 1
        job.record = replace(job.record, attempt=job.attempt)
        self._lanes.delay(job, time.monotonic() + fate.delay)
        if job.assignment in self._leaving:
            self._lanes.drain(self._leaving)
        self._metrics.retrying_keys.set(self._lanes.waiting)
        self._arm()

    def _bury(self, job: Job, failed: Failed, fate: DeadLetter, now: float) -> None:
        self._metrics.dead_lettered.inc()
        failure = headers.Failure(
            group=self._group,
            reason=fate.reason,
            attempts=job.attempt,
            message=failed.message,
            exception=failed.exception,
            status=failed.status,
            first_failed_at=job.first_failed_at or now,
            last_failed_at=now,
            traced=failed.traced,
        )
        self._finish(job, headers.for_dead_letter(job.record, failure), fate.reason.value)

    def _finish(self, job: Job, letter: Headers | None, reason: str | None) -> None:
        self._lanes.finish(job)
        self.finished.append(Finished(job.assignment, job.record, letter, reason))

    def _arm(self) -> None:
        """Have the next waiting lane woken when it is due."""
        now = time.monotonic()
        due = self._lanes.wake(now)
        self._metrics.retrying_keys.set(self._lanes.waiting)
        self._wake_runners()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else asyncio.get_running_loop().call_later(due - now, self._arm)


def _told(job: Job, failed: Failed) -> str:
    """Return what a log may have of a failed attempt: neither the record's key nor what is quoted of its value."""
    record = job.record
    key = "-" if record.key is None else hashlib.sha256(record.key).hexdigest()[:KEY_DIGITS]
    at = f" ({failed.traced.location})" if failed.traced and failed.traced.location else ""
    place = "{}/{}@{}".format(*record.source)
    known = f"attempt={job.attempt} record={place} key={key} id={record.message_id} exception={failed.exception}"
    return f"{known}: {masked(failed.message, record)}{at}"


def _is_cancelled() -> bool:
    """Whether it is the runner that is cancelled, which only the end of the process does."""
    runner = asyncio.current_task()
    return runner is not None and runner.cancelling() > 0


def _observe_age(ages: Histogram, record: Record) -> None:
    """Note for how long the record has been on its topic, where it says since when."""
    if record.timestamp is not None:
        ages.observe(max(0.0, time.time() - record.timestamp / 1000))
