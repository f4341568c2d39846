"""Which keys run here and which are parked in the retry topic: what arrives is sorted, and what hinders others leaves.

Or waits behind a dead letter of its key (`headrace.worker.followers`).

Lives on the event loop's thread, as the dispatcher does; the poll thread takes what leaves from `leaving`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from headrace import headers
from headrace.config import Config
from headrace.failure import Past
from headrace.flow.aside import Aside, cost, fair, kept
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.flow.ownership import is_late
from headrace.flow.parking import Found, Parking, Verdict, crowding, mark_of
from headrace.flow.partitions import Partition
from headrace.kafka.topics import RefusedError, UnansweredError
from headrace.letters.parked import is_pointer, restored
from headrace.letters.redrive import LostError
from headrace.metrics import Metrics
from headrace.progress import Parker
from headrace.worker.followers import Followers

log = logging.getLogger(__name__)

AGAIN = 2.0
"""Seconds until a value is read again that could not be."""


class Again(NamedTuple):
    """A retry partition that is to be read again from ``offset`` on."""

    assignment: Assignment
    offset: int


class Keys:
    """The parked keys beside the lanes of those that run."""

    def __init__(
        self,
        config: Config,
        lanes: Lanes,
        metrics: Metrics,
        finished: deque[Finished],
        *,
        changed: Callable[[], None],
        is_away: Callable[[], bool],
    ) -> None:
        """``changed`` is called when lanes have changed; ``is_away`` says that all wait for the target or a store.

        What waits behind a dead letter is put in ``finished``.
        """
        self._config = config
        self._group = config.group
        self._retry_topic = config.topics.retry
        self._lanes = lanes
        self._changed = changed
        self._is_away = is_away
        self._parking = Parking()
        self._own: defaultdict[int, Parker] = defaultdict(lambda: Parker(0, ""))
        self._before: dict[int, Mapping[Partition, Sequence[Parker]]] = {}
        self._aside = Aside()
        self.leaving: deque[Finished] = deque()
        self.aside: deque[tuple[Assignment, int]] = deque()
        self.again: deque[Again] = deque()
        self._done: deque[Finished] = deque()
        self.followers = Followers(config, lanes, self._parking, finished, changed, self.owner)
        metrics.parked_keys.set_function(lambda: self.parked)
        metrics.waiting_keys.set_function(lambda: len(self.followers))

    @property
    def parked(self) -> int:
        """How many keys are parked; any thread may ask."""
        return len(self._parking)

    def owner(self, job: Job) -> str:
        """Return the name of the ownership in which a record is here."""
        return self._own[job.assignment.partition].by

    def parks_key(self, job: Job) -> str | None:
        """Return the same where the key of a record can wait behind its dead letter, else None.

        Not one that somebody put into a retry partition of another number: its letter lies beside those of its key.
        """
        may_wait = job.record.source.partition == job.assignment.partition and self.followers.may_wait(job.lane)
        return self.owner(job) if may_wait else None

    def unread(self, number: int) -> int:
        """Return how many parked records were not read from the retry partition ``number``; any thread may ask."""
        return self._parking.unread(number)

    def forget(self, numbers: Collection[int]) -> None:
        """Forget what is parked of partitions of these numbers, which are given away."""
        self._parking.forget(numbers)
        self._aside.forget(numbers)
        self.followers.forget(numbers)

    def begin(
        self, number: int, found: Sequence[Found], own: Parker, before: Mapping[Partition, Sequence[Parker]]
    ) -> None:
        """Begin with what the retry partition ``number`` holds up to where our ``own`` time begins.

        Before anything of it arrives, or of its sources; what is late by those who parked ``before`` is none of it.
        """
        self._parking.begin(number, found)
        self._aside.forget([number])
        self._own[number], self._before[number] = own, before

    def sort(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """Return what may be queued; what follows its key is `leaving`, what is done already goes to `take_done`.

        What is read again later is `aside`, and what waits behind a dead letter of its key goes where that is.
        """
        all_run = not self._parking and self.followers.is_idle
        for job in jobs:
            verdict = Verdict.RUN if all_run and not job.record.parked else self._judge(job)
            if verdict is Verdict.RUN:
                if not job.record.parked or self._is_admitted(job):
                    yield job
            elif verdict is Verdict.FOLLOW:
                self._leave(job)
            elif verdict is Verdict.EARLY:
                self.aside.append((job.assignment, job.record.offset))
            elif verdict is Verdict.WAIT:
                self._aside.drop(job.lane, job.record.offset)
                self.followers.add(job)
            else:
                self._aside.drop(job.lane, job.record.offset)
                self._done.append(Finished(job.assignment, job.record, None, None))

    def _is_admitted(self, job: Job) -> bool:
        if self._aside.admits(job.lane, job.record.offset):
            return True
        self._put_back(job)
        return False

    def _put_back(self, job: Job) -> None:
        self._parking.put_back(job.lane, mark_of(job.record))
        self.aside.append((job.assignment, job.record.offset))

    def take_done(self) -> Iterator[Finished]:
        """Return, once, what was done already when it arrived; for the poll thread."""
        while self._done:
            yield self._done.popleft()

    def finish(self, job: Job) -> None:
        """Note that a record is finished; the last parked one of its key lets it run here again."""
        if job.record.parked:
            self._parking.finish(job.lane, mark_of(job.record))
        self._want(job.lane)

    def hold(self, head: Job) -> None:
        """Let a key wait behind a record of it that was just dead-lettered, with all that is here of it."""
        self.followers.hold(head)
        self._want(head.lane)

    def _want(self, lane: Lane) -> None:
        """Have what a lane gave up read again once it has nothing left."""
        if self._aside and not self._lanes.has(lane):
            self._aside.want(lane)

    def share_out(self) -> None:
        """Have keys that hold most of what came from the retry topic give up the last of it, where there are others."""
        if len(self._parking) < 2:
            return
        held = dict(self._lanes.parked())
        level = fair([sum(map(cost, jobs)) for jobs in held.values()])
        for lane, jobs in held.items():
            if last := jobs[kept(jobs, level) :]:
                self._lanes.set_aside(lane, last)
                self._aside.put(lane, [job.record.offset for job in last])
                for job in last:
                    self._put_back(job)

    def look_back(self, assignment: Assignment) -> None:
        """Say in `again` from where a retry partition is to be read once more, where a key wants what it gave up.

        Or what came too early of it: where it has nothing aside, as that goes before.
        """
        early = [offset for lane, offset in self._parking.due(assignment.partition) if lane not in self._aside]
        wanted = self._aside.first(assignment.partition)
        if first := [*early, *(() if wanted is None else (wanted,))]:
            self.again.append(Again(assignment, min(first)))

    async def restore(self, job: Job) -> None:
        """Give a record its value that was too large for the retry topic, while it is ours.

        One that is gone for good is unreadable.
        """
        while is_pointer(job.record) and not job.assignment.given_away:
            try:
                job.record = await asyncio.to_thread(restored, self._config, job.record)
            except LostError as error:
                job.record = replace(job.record, unreadable=str(error))
                break
            except (RefusedError, UnansweredError) as error:
                log.warning("the value of %s/%d@%d cannot be read: %s", *job.record.source, error)
                await asyncio.sleep(AGAIN)

    def retrying(self, assignment: Assignment) -> tuple[int, int]:
        """Return how many keys of a partition are tried again, and how many records they hold; for any thread.

        What is parked and not read waits behind its key, too.
        """
        keys, held = self._lanes.retrying(assignment)
        is_retry = assignment.topic == self._retry_topic
        return keys, held + self._parking.unread(assignment.partition) if is_retry else held

    def park_crowding(self) -> None:
        """Park what holds up others now that the budget is used up; not while the target, or a store, is away.

        What is left of a key that is parked already is nobody's choice, so it takes no share of that.
        """
        self._park(crowding([load for load in self._lanes.loads() if load.lane not in self._parking]))

    def park_failing(self, assignment: Assignment) -> None:
        """Park the keys of a partition that fail; not while the target, or a store, is away."""
        self._park(self._lanes.failing(assignment))

    def park_waiting(self, lanes: Collection[Lane]) -> None:
        """Park keys whose head waits for long, so that nothing waits for it here; not while the target is away."""
        self._park(lanes)

    def _park(self, lanes: Collection[Lane]) -> None:
        """Have all that is queued of these keys written to the retry topic; what runs, or came from there, stays.

        What is left of a key that is parked already is older than what is parked.
        """
        if self._is_away():
            return
        for job in self._lanes.park([lane for lane in lanes if lane not in self._parking]):
            self._parking.park(job.lane, mark_of(job.record))
            self._leave(job)
        self._changed()

    def _judge(self, job: Job) -> Verdict:
        """Judge a record that arrives; a parked one that is not to run is finished with that."""
        if self._is_late(job) or self._comes_parked(job):
            return Verdict.DONE
        by_letters = self._by_letters(job)
        return self._judge_parked(job, by_letters) if job.record.parked else self._judge_other(job, by_letters)

    def _by_letters(self, job: Job) -> Verdict:
        """Judge a record by the dead letters of its key alone: whether it is one already, or follows one."""
        if self.followers.is_letter(job):
            return Verdict.DONE
        return Verdict.WAIT if self.followers.follows(job) else Verdict.RUN

    def _judge_parked(self, job: Job, by_letters: Verdict) -> Verdict:
        mark, may_go_back = mark_of(job.record), job.lane not in self._aside
        if by_letters is Verdict.DONE:
            self._parking.finish(job.lane, mark)
        verdict = self._parking.from_retry(job.lane, mark, job.record.offset, may_go_back=may_go_back)
        if verdict is Verdict.RUN and by_letters is Verdict.WAIT:
            self._parking.finish(job.lane, mark)
            return Verdict.WAIT
        return verdict

    def _judge_other(self, job: Job, by_letters: Verdict) -> Verdict:
        mark = mark_of(job.record)
        if job.assignment.topic == self._retry_topic:
            return by_letters
        if by_letters is Verdict.RUN:
            return self._parking.from_source(job.lane, mark)
        return Verdict.DONE if self._parking.has(job.lane, mark) else by_letters

    def _comes_parked(self, job: Job) -> bool:
        """Whether a record from its source is parked, too: that copy is judged, and may be a letter already."""
        return job.assignment.topic != self._retry_topic and self._parking.comes(job.lane, mark_of(job.record))

    def _is_late(self, job: Job) -> bool:
        number, source = job.assignment.partition, job.record.source.topic
        before = self._before.get(number, {}).get((source, number), ())
        return job.record.parked and is_late(job.record, (*before, self._own[number]))

    def _leave(self, job: Job) -> None:
        tried = job.tried or Tried(job.attempt)
        past = Past(job.attempt - 1, job.crashes, job.worker_crashes, tried.since, tried.due)
        own = headers.for_parked(job.record, self._group, past, by=self.owner(job))
        self.leaving.append(Finished(job.assignment, job.record, own, None))
