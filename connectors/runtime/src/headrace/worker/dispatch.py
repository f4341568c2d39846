"""Runs the handler: a fixed number of runners take ready lanes as the gate allows, and failed heads wait on one timer.

Lives on the event loop's thread. The poll thread hands it batches of records and takes finished ones from `finished`;
it must not know Kafka's client.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace

from headrace.config import Config
from headrace.failure import Reason
from headrace.flow.breaker import State
from headrace.flow.busy import Busy
from headrace.flow.finished import Finished, Retried
from headrace.flow.gate import Gate
from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.flow.partitions import Partition
from headrace.flow.policy import NOT_BEGUN, DeadLetter, Failed, decide, resumed
from headrace.flow.target import Target
from headrace.flow.telling import told
from headrace.metrics import Metrics
from headrace.record import Headers, Record
from headrace.worker import burials
from headrace.worker.attempts import Attempts, Handle, Hands
from headrace.worker.deduplication import Claim, Deduplication
from headrace.worker.keys import Keys
from headrace.worker.outages import Outages
from headrace.worker.quarantine import Quarantine
from headrace.worker.runners import Runners

log = logging.getLogger(__name__)

LOOK = 0.05
"""Seconds between looks whether the group has confirmed a lease that lapsed."""


class Dispatcher:
    """The lanes and the runners that work on them."""

    def __init__(
        self,
        config: Config,
        handle: Handle,
        metrics: Metrics,
        lease: Lease,
        once: Deduplication | None = None,
        hands: Hands | None = None,
    ) -> None:
        self._once = once
        self._hands = hands
        self._ahead = 0
        self._lease = lease
        self._group = config.group
        self._retry = config.delivery.retry
        self._may_skip = config.delivery.on_dead_letter.action == "Skip"
        self._concurrency = config.delivery.concurrency
        self._gate = Gate(config.delivery, time.monotonic())
        self._outages = Outages(self._gate, config.delivery, metrics)
        self._metrics = metrics
        self._lanes = Lanes()
        self._runners = Runners(self._handle_next, self._concurrency + (hands.most_ahead if hands else 0))
        self._attempts = Attempts(handle, self._runners, metrics, hands)
        self._timer: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()
        self._leaving: frozenset[Assignment] = frozenset()
        self._accepted = 0
        self.keys_at_hand = self._lanes.keys
        self.busy = Busy(config.delivery.concurrency, time.monotonic())
        self.finished: deque[Finished] = deque()
        self.keys = Keys(config, self._lanes, metrics, self.finished, changed=self._arm, is_away=self._is_away)
        self.retried: deque[Retried] = deque()
        self.quarantine = Quarantine(lambda: self._lanes.begun, config.handler.timeout)
        metrics.in_flight.set_function(lambda: min(self._lanes.running, self._concurrency))

    async def run(self) -> None:
        """Work until cancelled; raises RunnerLost by a fault in here, not in the handling of a record."""
        await self._runners.run()

    def accept(self, jobs: Sequence[Job]) -> None:
        """Queue a batch of records, but for those that follow a parked key, are done, or come where nothing begins."""
        late = []
        for job in self.keys.sort([job for job in jobs if not job.assignment.halted]):
            wait = None if job.tried is None else self._wait_left(job.tried)
            if self._lanes.add(job, None if wait is None else time.monotonic() + wait) and self._is_long(wait):
                late.append(job.lane)
        if late:
            self.keys.park_waiting(late)
        self._accepted += len(jobs)
        self._arm()

    def _wait_left(self, tried: Tried) -> float | None:
        """Return for how many seconds a record that failed elsewhere still waits; None is not at all."""
        if tried.attempt == 1:
            return None
        return resumed(tried, now=time.time(), retry=self._retry, jitter=random.random())

    def _is_long(self, wait: float | None) -> bool:
        return wait is not None and wait > self._retry.max_in_memory

    @property
    def target(self) -> Target:
        """What is known of the target; for any thread."""
        return self._outages.target

    def idle(self, handed: int) -> int | None:
        """Return for how many more keys there are hands than the ``handed`` records are of; any thread may ask.

        None while some of these keys wait for a hand, or for the target.
        """
        if self._accepted != handed or self._lanes.ready or self._is_away():
            return None
        return max(0, self._gate.limit - self._lanes.running - self._lanes.waiting)

    def _is_away(self) -> bool:
        """Whether records wait for the target, or the store of handled messages, whatever their keys are."""
        return self._gate.is_open or (self._once is not None and self._once.is_away)

    async def drain(self, assignments: Collection[Assignment]) -> None:
        """Drop what has not begun and wait until nothing of these partitions runs; what fails is not tried again."""
        self._leaving = frozenset(assignments)
        self._lanes.drop(assignments)
        self._withdraw()
        self._wake_runners()
        while self._lanes.pending(assignments):
            self._progress.clear()
            await self._progress.wait()

    def forget(self, assignments: Collection[Assignment]) -> None:
        """Drop everything of partitions that are no longer ours; what runs is finished in vain."""
        self._leaving = frozenset()
        self._lanes.drop(assignments)
        self._withdraw()
        self._wake_runners()

    def halt(self, source: Partition) -> None:
        """Begin nothing more of a source's partition, of which a record is dead-lettered; what runs ends."""
        halted = [one for one in self._lanes.assignments if one.name == source]
        for one in halted:
            one.halted = True
        self._lanes.drop(halted)
        self._withdraw()
        self._wake_runners()

    def _withdraw(self) -> None:
        """Have back what the handler was given and has not begun."""
        if self._hands is not None:
            self._hands.withdraw()

    async def _handle_next(self) -> None:
        while (job := self._take()) is None:
            await self._runners.rest()
        if self._may_begin_at_once(job):
            await self._attempt(job)
        else:
            await self._pass(job)
        self.quarantine.leave(job)

    def _may_begin_at_once(self, job: Job) -> bool:
        """Whether a record is ours and nothing is to be seen to, asked or waited for before it is attempted."""
        return (
            self._once is None
            and job.record.value is not None
            and not (job.is_suspect or self.quarantine.is_active)
            and not (job.assignment.given_away or job.assignment.halted)
            and self._lease.holds(job.taken)
        )

    async def _pass(self, job: Job) -> None:
        """Handle a record once, in quarantine where it is suspect or others are; or leave it, when it is not ours."""
        is_over = job.crashes >= self._retry.max_crash_attempts
        if job.record.value is None:
            await self.keys.restore(job)
        may_run = not (is_over or job.assignment.given_away)
        if may_run and (job.is_suspect or self.quarantine.is_active):
            await self.quarantine.enter(job)
        if not self._lease.holds(time.monotonic()):
            await self._wait_for_lease(job)
        if job.assignment.given_away or job.assignment.halted:
            self._drop(job)
        elif is_over:
            self._give_up(job, time.time())
        elif self._once is None or job.record.compensates:
            await self._attempt(job)
        else:
            await self._attempt_once(job, self._once)

    def _take(self) -> Job | None:
        """Begin the next record, if there is one and the gate has room."""
        now = time.monotonic()
        running, ready = self._lanes.running, self._lanes.ready
        room = self._gate.room(running, now, ahead=self._hands.ahead if self._hands else 0)
        if room <= 0:
            self.busy.note(running, now)
            if ready:
                self._arm()
            return None
        self.busy.note(running + (ready if ready < room else room), now)
        job = self._lanes.take()
        if job is not None:
            job.taken = now
            self._gate.begin(now)
        return job

    def _wake_runners(self) -> None:
        self._ahead = self._hands.ahead if self._hands else 0
        room = self._gate.room(self._lanes.running, time.monotonic(), ahead=self._ahead)
        self._runners.wake(min(self._lanes.ready, room))

    async def _wait_for_lease(self, job: Job) -> None:
        """Wait until it is sure whose the record is, or that it does not begin."""
        while not (job.assignment.given_away or job.assignment.halted):
            await asyncio.sleep(LOOK)
            if self._lease.holds(time.monotonic()):
                return

    def _drop(self, job: Job) -> None:
        """Leave a record to the new owner of its partition."""
        self._metrics.stale.inc()
        self._lanes.finish(job)
        self._progress.set()

    async def _attempt_once(self, job: Job, once: Deduplication) -> None:
        """Attempt what no other delivery of the message has handled, or handles now."""
        claim = await once.claim(job.record)
        if claim is None:
            self._finish(job, None, None)
        elif job.assignment.given_away or job.assignment.halted:
            await self._let_go(job, claim)
        elif isinstance(claim, Claim):
            await self._attempt(job, claim)
        else:
            self._lanes.postpone(job, time.monotonic() + claim)
            self._delayed(job)
            if self.quarantine.has_counted(job):
                self._tell(job)
        self._progress.set()

    async def _let_go(self, job: Job, claim: Claim | float) -> None:
        if isinstance(claim, Claim):
            await claim.settle(done=False)
        self._drop(job)

    async def _attempt(self, job: Job, claim: Claim | None = None) -> None:
        failed = await self._attempts.make(job, claim)
        if failed is NOT_BEGUN:
            self._return(job)
        else:
            self._judge(job, failed)
        self._progress.set()

    def _judge(self, job: Job, failed: Failed | None) -> None:
        """Note how an attempt ended."""
        if job.attempt > 1:
            self._metrics.retries.inc()
        counts = job.record.compensates or self._passed(job, failed)
        if failed is not None and self.quarantine.has_counted(job):
            self._clear(job)
        if failed is None:
            self._succeed(job)
        elif job.assignment.given_away:
            self._drop(job)
        elif counts:
            self._fail(job, failed, time.time())
        else:
            self._freeze(job, failed)

    def _return(self, job: Job) -> None:
        """Let a record that its handler has not begun run again, or leave it to the new owner of its partition."""
        if job.assignment.given_away or job.assignment.halted or job.assignment in self._leaving:
            self._drop(job)
            return
        self._lanes.give_back(job)
        if self.quarantine.has_counted(job):
            self._tell(job)

    def _passed(self, job: Job, failed: Failed | None) -> bool:
        """Tell the gate how an attempt ended; return whether it counts."""
        before = self._gate.breaker.state
        counts = self._gate.ended(job.lane, failed, job.ended)
        after = self._gate.breaker.state
        if before.is_open or after is not before:
            if after.is_open != before.is_open:
                self._outages.tell(job, failed)
            self._follow(before, after)
        elif self._hands is not None and self._hands.ahead != self._ahead:
            self._wake_runners()
        return counts

    def _follow(self, before: State, after: State) -> None:
        """Have back what may not begin now, and begin what may."""
        if after.is_open or after.limit < before.limit:
            self._withdraw()
        if before.is_open or after.limit != before.limit:
            self._metrics.limit.set(after.limit)
            self._wake_runners()

    def _freeze(self, job: Job, failed: Failed) -> None:
        """Let a record wait for the target, behind all others: else one that always fails would be each probe."""
        log.info("failed, which does not count as the target fails: %s", told(job.record, job.attempt, failed))
        self._metrics.frozen.inc()
        self._lanes.postpone(job, time.monotonic() + self._gate.rest)
        self._delayed(job)

    def _succeed(self, job: Job) -> None:
        self._metrics.ok.inc()
        self._finish(job, None, None)

    def _fail(self, job: Job, failed: Failed, now: float) -> None:
        job.first_failed_at = job.first_failed_at or now
        job.worker_crashes += failed.crashed
        age, jitter = now - job.first_failed_at, random.random()
        fate = decide(
            failed, attempt=job.attempt, retry=self._retry, jitter=jitter, age=age, crashes=job.worker_crashes
        )
        if isinstance(fate, DeadLetter):
            log.warning("dead-lettered (%s): %s", fate.reason, told(job.record, job.attempt, failed))
            self._bury(job, failed, fate, now)
            return
        log.info("failed, again in %.2f s: %s", fate.delay, told(job.record, job.attempt, failed))
        self._metrics.retried.inc()
        job.attempt += 1
        job.record = replace(job.record, attempt=job.attempt)
        self._tell(job, due=math.ceil(now + fate.delay))
        self._lanes.delay(job, time.monotonic() + fate.delay)
        if self._is_long(fate.delay) and not (job.assignment.halted or job.assignment in self._leaving):
            self.keys.park_waiting([job.lane])
        self._delayed(job)

    def _clear(self, job: Job) -> None:
        """Suspect a record no more: the process has lived through an attempt at it."""
        job.is_suspect, job.crashes = False, 0
        self._tell(job)

    def _tell(self, job: Job, due: int = 0) -> None:
        """Have the next commit say how a record was tried."""
        since = int(job.first_failed_at or 0)
        tried = job.tried = Tried(job.attempt, job.crashes, due, since, job.worker_crashes)
        self.retried.append(Retried(job.assignment, job.record.offset, tried))

    def _delayed(self, job: Job) -> None:
        """Have a record woken when it is due, unless its partition is leaving or halted."""
        if job.assignment.halted or job.assignment in self._leaving:
            self._lanes.drop({job.assignment, *self._leaving})
        self._metrics.retrying_keys.set(self._lanes.waiting)
        self._arm()

    def _give_up(self, job: Job, now: float) -> None:
        """Dead-letter a record that has ended the process again and again; the attempts are those and the others."""
        text = f"the process ended {job.crashes} times while it handled this record, the last time begun alone"
        failed = Failed(message=text, exception="headrace.Crash", retriable=False, internal=True)
        job.attempt += job.crashes - 1
        log.warning("dead-lettered (%s): %s", Reason.CRASH, told(job.record, job.attempt, failed))
        self._bury(job, failed, DeadLetter(reason=Reason.CRASH), now)
        self._progress.set()

    def _bury(self, job: Job, failed: Failed, fate: DeadLetter, now: float) -> None:
        self._metrics.dead_lettered.inc()
        reason = Reason.COMPENSATION_FAILED if job.record.compensates else fate.reason
        by = self.keys.parks_key(job)
        letter = burials.letter(job, failed, reason, group=self._group, now=now, parks_key=by)
        self._finish(job, letter, reason.value, None if by is None else job.lane)
        if by is not None:
            self.keys.hold(job)
        elif self._stops(job.record):
            self.halt((job.record.source.topic, job.record.source.partition))

    def _stops(self, record: Record) -> bool:
        """Whether the partition of a record that is dead-lettered stands: also one of which no key can wait alone."""
        source = (record.source.topic, record.source.partition)
        return not self._may_skip and not self.keys.followers.keeps(source)

    def _finish(self, job: Job, letter: Headers | None, reason: str | None, lane: Lane | None = None) -> None:
        self._lanes.finish(job)
        self.keys.finish(job)
        self.finished.append(Finished(job.assignment, job.record, letter, reason, lane))

    def _arm(self) -> None:
        """Have the next waiting lane woken when it is due, and runners when the gate has room again."""
        now = time.monotonic()
        due = _sooner(self._lanes.wake(now), self._gate.due(now) if self._lanes.ready else None)
        self._metrics.retrying_keys.set(self._lanes.waiting)
        self._wake_runners()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else asyncio.get_running_loop().call_later(due - now, self._arm)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((due for due in (one, other) if due is not None), default=None)
