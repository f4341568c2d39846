"""Sends records that come behind a dead letter of their key to the dead-letter topic, too (`onDeadLetter: ParkKey`).

Lives on the event loop's thread, as the dispatcher does. The poll thread, which knows what became of the letters, asks
what of a key is left in here, and lets it live again; what it is told is in `answers`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Literal, NamedTuple

from headrace.config import Config
from headrace.failure import Reason
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.parking import Parking, mark_of
from headrace.flow.partitions import Partition
from headrace.flow.seen import Seen
from headrace.flow.sequences import Sequences, Written
from headrace.worker import burials


class Answer(NamedTuple):
    """Of a key of which that was ``written``: nothing of it is in here, or it takes no letters, or it is live again."""

    lane: Lane
    written: Written
    what: Literal["idle", "closed", "live"]


class Followers:
    """The keys that wait behind their dead letters.

    While the last letters of a key are moved back it is closed: what arrives of it waits in memory until those are
    read, so that a key of which records keep coming is live again some time.
    """

    def __init__(
        self,
        config: Config,
        lanes: Lanes,
        parking: Parking,
        finished: deque[Finished],
        changed: Callable[[], None],
        owner: Callable[[Job], str],
    ) -> None:
        """What goes to the dead-letter topic is put in ``finished``; ``changed`` is called when lanes have changed.

        ``owner`` names the ownership in which a record is here.
        """
        self._group = config.group
        self._lanes = lanes
        self._parking = parking
        self._finished = finished
        self._changed = changed
        self._owner = owner
        self._sequences = Sequences()
        self._closed: dict[Lane, list[Job]] = {}
        self.answers: deque[Answer] = deque()

    def __len__(self) -> int:
        return len(self._sequences)

    def begin(self, number: int, seen: Seen) -> None:
        """Begin with what was seen of partitions of this number, before anything of them arrives."""
        self._sequences.begin(number, seen)

    def forget(self, numbers: Collection[int]) -> None:
        """Forget the partitions of these numbers, which are given away."""
        self._sequences.forget(numbers)
        self._closed = {lane: jobs for lane, jobs in self._closed.items() if lane[1] not in numbers}

    def keeps(self, source: Partition) -> bool:
        """Whether keys of a source partition can wait; any thread may ask."""
        return self._sequences.keeps(source)

    def may_wait(self, lane: Lane) -> bool:
        """Whether the key of this lane can wait."""
        return self._sequences.may_wait(lane)

    @property
    def is_idle(self) -> bool:
        """Whether nothing that arrives can be a letter already, or follow one."""
        return self._sequences.is_idle

    def is_letter(self, job: Job) -> bool:
        """Whether a record that arrives is a dead letter already; asked once of each."""
        return self._sequences.is_letter(job.lane, job.record)

    def follows(self, job: Job) -> bool:
        """Whether a record follows the dead letter of its key."""
        return self._sequences.follows(job.lane, job.record)

    def hold(self, head: Job) -> None:
        """Let a key wait of which a record was just dead-lettered, with all that is here of it."""
        self._sequences.note(head.lane, mark_of(head.record))
        for job in self._lanes.take_out(head.lane, self.follows):
            if job.record.parked:
                self._parking.finish(job.lane, mark_of(job.record))
            self._bury(job)
        self.open(head.lane)

    def add(self, job: Job) -> None:
        """Take a record that follows its key: to the dead-letter topic, or into memory where that is closed."""
        if job.lane in self._closed:
            self._closed[job.lane].append(job)
        else:
            self._bury(job)

    def ask(self, lanes: Collection[Lane]) -> None:
        """Answer of which of these keys nothing is queued, runs, or is parked; ask after what was read is accepted."""
        for lane in lanes:
            if not self._lanes.has(lane) and lane not in self._parking:
                self.answers.append(Answer(lane, self._sequences.written(lane), "idle"))

    def free(self, lane: Lane, heads: int) -> None:
        """Let what is moved back of a key run, of which that many heads were sent, and have a resolution."""
        self._sequences.free(lane, heads)

    def close(self, lane: Lane) -> None:
        """Have what arrives of a key wait in memory, for a moment, and answer how many letters it has."""
        if lane in self._sequences:
            self._closed.setdefault(lane, [])
            self.answers.append(Answer(lane, self._sequences.written(lane), "closed"))

    def open(self, lane: Lane) -> None:
        """Send to the dead-letter topic again what arrives of a key, and what did meanwhile."""
        for job in self._closed.pop(lane, ()):
            self._bury(job)

    def release(self, lane: Lane, letters: int) -> None:
        """Let a key live again of which that many letters were dealt with, unless there are more."""
        written = self._sequences.written(lane)
        if not self._sequences.release(lane, letters):
            return
        self.answers.append(Answer(lane, written, "live"))
        for job in self._closed.pop(lane, ()):
            self._lanes.add(job)
        self._changed()

    def _bury(self, job: Job) -> None:
        self._sequences.note(job.lane)
        letter = burials.follower(job, group=self._group, now=time.time(), parks_key=self._owner(job))
        self._finished.append(Finished(job.assignment, job.record, letter, Reason.KEY_PARKED.value, job.lane))
