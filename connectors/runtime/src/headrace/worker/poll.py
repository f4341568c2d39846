"""The poll thread: the one owner of consumer, ledger and dead letters.

Each turn it notes what was finished, commits, writes dead letters and reads more; it must never wait for a handler
but when partitions are given away, and then only so long.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from headrace import headers
from headrace.config import Config
from headrace.failure import Reason
from headrace.flow.budget import weight
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import UNKNOWN, stamp
from headrace.flow.parking import tried_of
from headrace.flow.partitions import Partition, listed
from headrace.kafka.consumer import Committed, Source
from headrace.kafka.membership import pause
from headrace.kafka.producer import Written
from headrace.letters.writing import Letters
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.worker.added import Added
from headrace.worker.aside import Aside
from headrace.worker.backpressure import Backpressure
from headrace.worker.beforehand import Beforehand, Doorstep
from headrace.worker.commits import Commits
from headrace.worker.copartitions import Copartitions
from headrace.worker.credentials import Credentials
from headrace.worker.dispatch import Dispatcher
from headrace.worker.leaving import leave
from headrace.worker.load import Load
from headrace.worker.lost import Lost
from headrace.worker.ownership import Ownership
from headrace.worker.parking import Parking
from headrace.worker.pauses import Pauses
from headrace.worker.quarantine import Ahead
from headrace.worker.risks import Risks
from headrace.worker.sequences import Sequences
from headrace.worker.stall import Stalls
from headrace.worker.stops import Stops

log = logging.getLogger(__name__)

BATCH = 1_000
IDLE = 0.1

STEP = 0.01
REVOKE_BUDGET = 10.0
"""Seconds that running records have to finish when partitions are taken away; when the process ends, it is told.

No more than half of the time after which the group takes a member that does not read for gone.
"""


class Poller(threading.Thread):
    """Moves records from Kafka to the dispatcher and their completions back."""

    def __init__(
        self,
        config: Config,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
        lease: Lease,
        pod: str,
    ) -> None:
        super().__init__(name="poll")
        self._order = config.delivery.order
        self._compensates = config.delivery.on_dead_letter.compensate is not None
        self._dispatcher = dispatcher
        self._loop = loop
        self._metrics = metrics
        self._ledger = Ledger()
        self._credentials = Credentials(config.kafka)
        self._source = Source(config)
        self._load = Load(config, pod, dispatcher, self._ledger)
        self._commits = Commits(self._source, self._ledger, metrics, dispatcher.keys.retrying, self._load, config.mark)
        self._beforehand = Beforehand(self._commits)
        self._doorstep = Doorstep(self._beforehand, lambda jobs: loop.call_soon_threadsafe(dispatcher.accept, jobs))
        self._ownership = Ownership(lease, self._commits, self._ledger)
        self._longest_drain, self._stop_budget = pause(config) / 2, config.stop
        self._letters = Letters(config, metrics, self._on_letter)
        self._stopping, self._abandon = threading.Event(), threading.Event()
        self._assigned = False
        self._lost = Lost(config.delivery.on_offset_lost, self._source, metrics)
        self._pauses = Pauses(self._source, metrics)
        self._backpressure = Backpressure(self._ledger, self._pauses, self._lost, dispatcher, config.topics.retry)
        self._sequences = Sequences(config, self._ledger, dispatcher, loop, lease)
        self._parking = Parking(config, self._ledger, self._pauses, dispatcher, loop, self._on_parked)
        self._aside = Aside(self._source, self._ledger, dispatcher, loop)
        self._added = Added(config, self._ledger, self._pauses)
        self._copartitions = Copartitions(self._source, self._pauses, config.topics.retry)
        self._stops = Stops(config, self._ledger, self._pauses, dispatcher, loop, metrics)
        self._risks = Risks(self._ledger)
        self.stalls = Stalls(self._source, self._ledger, self._pauses, self._copartitions, self._lost, metrics)
        self.beat = time.monotonic()
        self.fault: BaseException | None = None

    @property
    def ready(self) -> bool:
        """Whether all that the group gave, be it nothing, is begun with, and nothing stopped, stands or is refused."""
        well = not self._lost and not self.stalls.stalled and self.refusal is None
        return self._assigned and not self._source.waits and well and not self._stopping.is_set()

    @property
    def refusal(self) -> str | None:
        """Why dead letters, or what is parked, have been refused for a while, if they have."""
        return self._letters.refusal or self._parking.refusal

    def stop(self) -> None:
        """Stop reading and finish what runs; a second call abandons what runs."""
        if self._stopping.is_set():
            self._abandon.set()
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped; what ends it early is in `fault`."""
        try:
            self._source.subscribe(
                assigned=self._on_assigned, revoked=self._on_revoked, committed=self._commits.committed
            )
            while not self._stopping.is_set():
                self._turn()
            self._load.end()
            self._release(self._ledger.owned, self._stop_budget)
            leave(self._source)
        except BaseException as error:  # noqa: BLE001 - the thread's border: told to the process, which ends
            self.fault = error

    def _turn(self) -> None:
        self.beat = time.monotonic()
        self._credentials.follow(self._source, (self._letters, self._parking.writer), self.beat)
        if not self._ownership.is_sure(self.beat):
            self._deliver(0, IDLE)
            return
        self._settle()
        self._commits.when_due(self.beat)
        self._beforehand.serve(self.beat)
        self._pauses.set_crowded(frozenset(one for one in self._commits.crowded if not one.given_away))
        self._added.serve(self.beat)
        self._parking.serve(self._commits.crowded, self._lost, self.beat)
        self._aside.serve(self.beat, is_full=self._parking.is_full)
        self._sequences.serve(self._parking.learnt, self.beat)
        writing = self._letters.outstanding or self._dispatcher.finished or self._parking.writer.outstanding
        self._go_on(self._stops.serve(self.beat, writing=bool(writing)))
        self.stalls.measure(self.beat)
        used_up = self._backpressure.is_used_up()
        if used_up:
            self._parking.relieve(self.beat)
        if self._backpressure.is_full(self.beat, self._doorstep.handed, used_up=used_up):
            self._hold_back(self.beat)
            return
        self._pauses.end()
        self._restart(self._lost.restarts(self.beat))
        self._deliver(BATCH, STEP if self._dispatcher.quarantine.is_active else IDLE)
        self._assigned = self._assigned or self._source.has_joined
        self._copartitions.judge_anew(self._ledger.owned)
        self.stalls.look_when_due(self.beat, read=time.monotonic() - self.beat)

    def _deliver(self, most: int, timeout: float) -> None:
        read, beyond = self._added.within(self._source.read(most, timeout))
        anew = self._copartitions.take_anew(self._ledger.owned)
        if anew or beyond:
            self._read_on((), anew | beyond)
            read = read.without(anew)
        for partition, offset in read.lost:
            assignment = self._ledger.find(*partition)
            if assignment is not None:
                self._lost.note(partition, assignment.position if offset is None else offset)
        jobs = [job for job in map(self._job, read.records) if job is not None]
        for (topic, number), offset in read.ends:
            self._ledger.reach(topic, number, offset)
        if jobs:
            self._doorstep.take(jobs, self.beat)

    def _restart(self, offsets: Mapping[Partition, int]) -> None:
        """Read on at ``offsets`` where the present ones no longer exist, and elsewhere as before.

        One before what was read is of another log, of which nothing is known yet.
        """
        if not offsets:
            return
        numbers = {one.partition for one in self._ledger.owned if offsets.get(one.name, one.position) < one.position}
        before = [one for one in self._ledger.owned if one.partition in numbers]
        anew = self._begin_anew(before, offsets) if before else []
        for partition, offset in offsets.items():
            self._lost.forget(partition)
            self._ledger.reach(*partition, offset)
        self._read_on({*offsets, *anew})

    def _read_on(self, elsewhere: Collection[Partition], again: Collection[Partition] = ()) -> None:
        places = {one.name: one.committed if one.end is None else one.end for one in self._ledger.owned}
        self._source.go_on(places, elsewhere, again)

    def _go_on(self, stood: Collection[Assignment]) -> None:
        """Begin with partitions anew that stood behind a dead letter; what was not begun there is read again."""
        for one in stood:
            log.info("%s/%d goes on", *one.name)
            one.stopped = None
            self._release([one], REVOKE_BUDGET, commit=False)
            self._ledger.renew(one, None)
        if stood:
            self._read_on((), [one.name for one in stood])

    def _begin_anew(self, before: Collection[Assignment], offsets: Mapping[Partition, int]) -> list[Partition]:
        """Begin with all partitions of some numbers as another owner does, as what is parked lies in several."""
        self._release(before, REVOKE_BUDGET, commit=False)
        self._forget([one.name for one in before])
        return self._renew(before, offsets)

    def _forget(self, partitions: Collection[Partition]) -> None:
        """Forget what is parked, and waits, of these partitions, which are all of their numbers."""
        self._loop.call_soon_threadsafe(self._dispatcher.keys.forget, {number for _, number in partitions})
        self._sequences.forget(partitions)

    def _renew(self, before: Collection[Assignment], offsets: Mapping[Partition, int]) -> list[Partition]:
        names = [self._ledger.renew(one, offsets.get(one.name)).name for one in before]
        self._stops.begin(names)
        self._parking.begin(names)
        return names

    def _job(self, record: Record) -> Job | None:
        assignment = self._ledger.find(record.topic, record.partition)
        if assignment is None:
            return None
        epoch, size = UNKNOWN if record.leader_epoch is None else record.leader_epoch, weight(record)
        if not self._ledger.deliver(assignment, record.offset, size, stamp(record.timestamp), epoch):
            return None
        tried = self._ledger.tried(assignment, record.offset)
        if tried is not None:
            record = replace(record, attempt=tried.attempt)
        elif record.parked:
            tried = tried_of(record)
        job = Job(assignment, record, self._order, tried, size)
        if assignment.suspects:
            assignment.suspects -= 1
            job.is_suspect = True
        return job

    def _hold_back(self, now: float) -> None:
        self._backpressure.hold_back(now)
        if self._pauses.is_whole:
            self._deliver(0, STEP)
        else:
            time.sleep(STEP)

    def _settle(self) -> None:
        """Note what was finished and what failed, and go on writing dead letters and what is parked."""
        retried, finished = self._dispatcher.retried, self._dispatcher.finished
        ahead = self._dispatcher.quarantine.asked_before()
        while retried:
            failed = retried.popleft()
            self._risks.settle(failed.assignment, failed.offset)
            self._ledger.note(*failed)
        while finished:
            item = finished.popleft()
            if item.letter is None:
                self._complete(item)
            else:
                self._sequences.send(item)
                self._letters.write(item)
        for item in self._dispatcher.keys.take_done():
            self._note_done(item)
        self._letters.serve()
        self._parking.write()
        if ahead is not None:
            self._write_ahead(ahead)

    def _write_ahead(self, ahead: Ahead) -> None:
        """Commit that suspects run, before they do, with all that was finished before."""
        self._risks.count(ahead.jobs)
        begun = [one for one in self._ledger.owned if one.begun]
        self._beforehand.ask(begun, partial(self._loop.call_soon_threadsafe, ahead.written), self.beat)

    def _complete(self, item: Finished) -> None:
        if self._note_done(item):
            self._load.handled += 1
            self._metrics.records[item.record.topic].inc()
            if item.record.redriven:
                self._metrics.redriven.inc()

    def _on_letter(self, item: Finished, at: Written) -> None:
        """Note that a dead letter is written; where a command follows, the record is done once that is, too."""
        self._sequences.wrote(item, at)
        self._stops.note(item, at)
        if item.reason == Reason.KEY_PARKED.value:
            self._note_done(item)
        elif self._compensates and not item.record.compensates:
            self._parking.writer.write(item._replace(letter=headers.for_command(item.letter or ())))
        else:
            self._bury(item)

    def _bury(self, item: Finished) -> None:
        self._complete(item)
        stopped = self._stops.stop(item)
        if stopped is not None:
            self._commits.write_ahead({stopped, item.assignment})

    def _on_parked(self, item: Finished) -> None:
        """Note that a record lies in the retry topic: a command, where there is a reason, or one of a parked key."""
        if item.reason is not None:
            self._bury(item)
        elif self._note_done(item):
            self._metrics.parked.inc()

    def _note_done(self, item: Finished) -> bool:
        """Note that nothing is left to do for a record here; False when its partition is no longer ours."""
        if not self._ledger.complete(item.assignment, item.record.offset):
            self._metrics.stale.inc()
            return False
        self._risks.settle(item.assignment, item.record.offset)
        self._commits.completions += 1
        return True

    def _on_assigned(self, partitions: dict[Partition, Committed | None]) -> None:
        """Begin with what is given beside what is here; of that nothing is confirmed by it.

        What is here of the same numbers begins anew: only who has all of a number learns what is parked of it.
        """
        self._ownership.begin(self.beat)
        others = self._copartitions.others(partitions, self._ledger.owned)
        anew = self._begin_anew(others, {}) if others else []
        for partition, committed in partitions.items():
            self._commits.assign(partition, committed)
        if partitions or not self._assigned:
            self._tell_assigned(partitions)
        self._assigned = True
        self._letters.look_anew()
        self._copartitions.hold(self._ledger.owned)
        self._added.begin(partitions)
        self._stops.begin(partitions)
        self._sequences.begin(partitions)
        self._parking.begin([*partitions, *anew])

    def _tell_assigned(self, partitions: dict[Partition, Committed | None]) -> None:
        fresh = listed(partition for partition, committed in partitions.items() if committed is None)
        self._metrics.rebalances.inc()
        log.info("assigned %s; without a committed offset, read from the beginning: %s", listed(partitions), fresh)

    def _on_revoked(self, partitions: list[Partition], lost: bool) -> None:
        found = (self._ledger.find(*partition) for partition in partitions)
        assignments = [assignment for assignment in found if assignment is not None]
        log.info("%s %s", "lost" if lost else "giving away", listed(partitions))
        self._pauses.release(assignments)
        others = self._copartitions.others(partitions, self._ledger.owned)
        self._release([*assignments, *others], 0.0 if lost else REVOKE_BUDGET, commit=not lost)
        self._forget([*partitions, *(one.name for one in others)])
        self._added.forget(partitions)
        self._renew(others, {})
        self._copartitions.hold(self._ledger.owned)

    def _release(self, assignments: Collection[Assignment], budget: float, *, commit: bool = True) -> None:
        """Let what runs finish within ``budget`` seconds, then fence, then commit, then forget the partitions."""
        self._doorstep.drop(assignments)
        if budget:
            self._drain(assignments, time.monotonic() + min(budget, self._longest_drain))
        for assignment in assignments:
            assignment.given_away = True
        self._settle()
        self._risks.end(assignments)
        if commit:
            self._commits.finish(assignments)
        self._loop.call_soon_threadsafe(self._dispatcher.forget, list(assignments))
        for assignment in assignments:
            self._ledger.revoke(assignment)
            self._lost.forget(assignment.name)
        self.stalls.forget(assignments)

    def _drain(self, assignments: Collection[Assignment], deadline: float) -> None:
        if not assignments:
            return
        drained = asyncio.run_coroutine_threadsafe(self._dispatcher.drain(assignments), self._loop)
        while not self._abandon.is_set() and time.monotonic() < deadline:
            self.beat = time.monotonic()
            if not self._ownership.is_sure(self.beat):
                break
            was_drained = drained.done()
            self._settle()
            self._beforehand.go_on()
            if was_drained and not self._letters.outstanding and not self._parking.writer.outstanding:
                return
            time.sleep(STEP)
        drained.cancel()
        log.warning("records still run in %s; they will be delivered again", listed(one.name for one in assignments))
