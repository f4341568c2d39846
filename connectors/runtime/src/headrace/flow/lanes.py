"""Which record may run now: one record of a key at a time, in order; a key that waits holds nobody else.

Of the lanes that could run, the one whose record arrived first goes first: so a key with many records never falls
behind the others, and what is finished beyond the lowest unfinished record, which a crash repeats, stays little.

A lane is one exact key of one partition; it exists only while it has work. Records without a key have a lane each.
Where the order is a partition's, the partition is one lane; where there is none, each record has its own.
Pure: no clock, no tasks. The event loop's thread alone owns the lanes.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from headrace.config import Order
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.flow.partitions import Partition
from headrace.record import Record

Lane = tuple[str, int, bytes | int | None]
"""Source topic, partition and key; an offset instead of a key: one record's own lane; None: the whole partition's."""

LONGEST_KEY = 16 * 1024
"""Bytes of the longest key that is written whole where a record itself is too large."""

DIGEST = b"sha256:"


class Load(NamedTuple):
    """What a lane holds that could be parked: records of ``size`` bytes; ``failing`` if its head has failed."""

    lane: Lane
    records: int
    size: int
    failing: bool


class Job:
    """One delivered record on its way: ``attempt`` made next (from 1), ``first_failed_at`` in seconds or None.

    ``tried`` says how it was tried last, also by an owner before, ``crashes`` how often it was there when the process
    ended, ``is_suspect`` whether it may be the cause, ``worker_crashes`` how often it ended a worker process.
    ``size`` is what it takes of the budget, in bytes. ``number`` counts arrivals; `Lanes.add` sets it. ``taken`` and
    ``ended`` say when it was taken for its last attempt and when that ended, in monotonic seconds.
    """

    __slots__ = (
        "assignment",
        "attempt",
        "crashes",
        "ended",
        "first_failed_at",
        "is_suspect",
        "lane",
        "number",
        "record",
        "size",
        "taken",
        "tried",
        "worker_crashes",
    )

    def __init__(
        self,
        assignment: Assignment,
        record: Record,
        order: Order = "Key",
        tried: Tried | None = None,
        size: int = 0,
    ) -> None:
        self.assignment = assignment
        self.record = record
        self.lane = lane_of(record, order)
        self.attempt = record.attempt
        self.size = size
        self.tried = tried
        self.number = self.crashes = self.worker_crashes = 0
        self.is_suspect = False
        self.first_failed_at: float | None = None
        self.taken = self.ended = 0.0
        if tried is not None:
            self._go_on(tried)

    def _go_on(self, tried: Tried) -> None:
        self.crashes, self.worker_crashes = tried.crashes, tried.worker_crashes
        self.is_suspect = tried.crashes > 0
        self.first_failed_at = tried.since or None


def lane_of(record: Record, order: Order) -> Lane:
    """Return the lane of ``record``; of the retry topic, its source's where the partition number is the same.

    A command waits for nobody, and nobody for it.
    """
    if record.compensates:
        return (record.topic, record.partition, record.offset)
    topic = record.origin.topic if record.origin else record.topic
    if order == "Partition":
        return (topic, record.partition, None)
    if record.key is None or order == "None":
        return (topic, record.partition, record.source.offset)
    return (topic, record.partition, short_key(record.key))


def short_key(key: bytes) -> bytes:
    """Return ``key``, or what stands for one that is longer than `LONGEST_KEY`: its SHA-256, which is its own."""
    return key if len(key) <= LONGEST_KEY else DIGEST + hashlib.sha256(key).digest()


class Lanes:
    """All lanes with work: ready, running or waiting."""

    def __init__(self) -> None:
        self._queues: dict[Lane, list[Job]] = {}
        self._ready: list[int] = []
        self._heads: dict[int, Job] = {}
        self._arrived = 0
        self._running: set[Lane] = set()
        self._due: dict[Lane, float] = {}
        self._heap: list[tuple[float, int, Lane]] = []
        self._pending: Counter[Assignment] = Counter()
        self._failed: set[Lane] = set()
        self._retrying: Counter[Assignment] = Counter()
        self._held: Counter[Assignment] = Counter()

    @property
    def assignments(self) -> list[Assignment]:
        """The partitions of which records are queued, waiting or running."""
        return list(self._pending)

    def has(self, lane: Lane) -> bool:
        """Return whether there is work in ``lane``."""
        return lane in self._queues

    @property
    def ready(self) -> int:
        """How many lanes could run now."""
        return len(self._ready)

    @property
    def running(self) -> int:
        """How many records run now."""
        return len(self._running)

    @property
    def begun(self) -> list[Job]:
        """The records that run now."""
        return [self._queues[lane][0] for lane in self._running]

    @property
    def waiting(self) -> int:
        """How many keys wait for their next attempt."""
        return len(self._due)

    def retrying(self, assignment: Assignment) -> tuple[int, int]:
        """Return how many keys of a partition have failed and are tried again, and how many records they hold.

        Any thread may ask.
        """
        return self._retrying[assignment], self._held[assignment]

    def keys(self) -> Counter[Partition]:
        """Return of how many keys of each source partition there is work; any thread may ask."""
        return Counter((topic, number) for topic, number, _ in list(self._queues))

    def pending(self, assignments: Collection[Assignment]) -> int:
        """Return how many records of these partitions are queued, waiting or running."""
        return sum(self._pending[assignment] for assignment in assignments)

    def add(self, job: Job, due: float | None = None) -> bool:
        """Put a record at the end of its lane; at the head of one, having failed before, it waits until ``due``.

        Returns whether it is the head.
        """
        self._pending[job.assignment] += 1
        self._arrived += 1
        job.number = self._arrived
        queue = self._queues.get(job.lane)
        if queue is not None:
            queue.append(job)
            if job.lane in self._failed:
                _count(self._held, job.assignment, 1)
            return False
        self._queues[job.lane] = [job]
        if due is None:
            self._make_ready(job)
        else:
            self._wait(job, due)
        return True

    def take(self) -> Job | None:
        """Start the record that arrived first of those that may, or return None; it runs until `finish` or `delay`."""
        if not self._ready:
            return None
        job = self._heads.pop(heapq.heappop(self._ready))
        self._running.add(job.lane)
        return job

    def finish(self, job: Job) -> None:
        """End a running record; the next of its key becomes ready."""
        lane = job.lane
        self._running.remove(lane)
        if self._failed:
            self._release(lane)
        self._forget(job)
        queue = self._queues[lane]
        del queue[0]
        if queue:
            self._make_ready(queue[0])
        else:
            del self._queues[lane]

    def delay(self, job: Job, due: float) -> None:
        """End a failed attempt: the record stays at the head of its lane, which waits until ``due``."""
        self._running.remove(job.lane)
        self._wait(job, due)

    def postpone(self, job: Job, due: float) -> None:
        """End an attempt that does not count: as `delay`, and whatever has arrived by now goes before it."""
        self._arrived += 1
        job.number = self._arrived
        self.delay(job, due)

    def give_back(self, job: Job) -> None:
        """End what was taken and has not begun: it may be taken again."""
        self._running.remove(job.lane)
        self._make_ready(job)

    def wake(self, now: float) -> float | None:
        """Make ready all lanes due at ``now``; return when the next one is due, or None."""
        while self._heap and self._heap[0][0] <= now:
            _, _, lane = heapq.heappop(self._heap)
            del self._due[lane]
            self._make_ready(self._queues[lane][0])
        return self._heap[0][0] if self._heap else None

    def loads(self) -> Iterator[Load]:
        """Return what each lane holds that `park` would take, but for those that fail and whose head runs now.

        Those wait, as their head must be parked with them: it goes before all that is parked.
        """
        for lane, queue in self._queues.items():
            head, runs = queue[0], lane in self._running
            fails = lane in self._failed and head.attempt > 1
            jobs = [job for job in queue if job.assignment.parks and not (runs and job is head)]
            if jobs and not (fails and runs):
                yield Load(lane, len(jobs), sum([job.size for job in jobs]), fails)

    def failing(self, assignment: Assignment) -> list[Lane]:
        """Return the lanes of a partition whose head has failed, but for those whose head runs now."""
        heads = ((lane, self._queues[lane][0]) for lane in self._failed - self._running)
        return [lane for lane, head in heads if head.assignment is assignment and head.attempt > 1]

    def park(self, lanes: Collection[Lane]) -> list[Job]:
        """Take out what comes from the source and does not run; return it, of each lane in its order."""
        were_ready = any(lane not in self._due and lane not in self._running for lane in lanes)
        taken = [job for lane in lanes for job in self._keep(lane, lambda one: not self._is_parkable(one))]
        self._reorder(were_ready=were_ready)
        return taken

    def parked(self) -> Iterator[tuple[Lane, list[Job]]]:
        """Return of each lane what came from the retry topic, in its order."""
        for lane, queue in self._queues.items():
            if jobs := [job for job in queue if job.record.parked]:
                yield lane, jobs

    def set_aside(self, lane: Lane, jobs: Collection[Job]) -> None:
        """Take out the last ones of a lane; `_reorder` is not due, as its head stays."""
        last = {id(job) for job in jobs}
        self._keep(lane, lambda job: id(job) not in last)

    def take_out(self, lane: Lane, leaves: Callable[[Job], bool]) -> list[Job]:
        """Take out of a lane of which nothing runs what ``leaves``; return it in its order."""
        if lane not in self._queues:
            return []
        taken = self._keep(lane, lambda job: not leaves(job))
        self._reorder()
        return taken

    def _is_parkable(self, job: Job) -> bool:
        runs = job.lane in self._running and job is self._queues[job.lane][0]
        return job.assignment.parks and not runs

    def drop(self, assignments: Collection[Assignment]) -> None:
        """Drop everything of these partitions but running records: what was not begun is its next owner's."""
        leaving = set(assignments)
        for lane in list(self._queues):
            self._thin(lane, leaving)
        self._reorder()

    def _reorder(self, *, were_ready: bool = True) -> None:
        """Forget in heaps what was taken out of lanes, of which some ``were_ready``: of those there may be many."""
        self._heap = [(due, self._queues[lane][0].number, lane) for lane, due in self._due.items()]
        heapq.heapify(self._heap)
        if were_ready:
            heads = [self._queues[head.lane][0] for head in self._heads.values() if head.lane in self._queues]
            self._heads = {head.number: head for head in heads}
            self._ready = sorted(self._heads)

    def _thin(self, lane: Lane, leaving: set[Assignment]) -> None:
        queue = self._queues[lane]
        if not any(job.assignment in leaving for job in queue):
            return
        running, head = lane in self._running, queue[0]
        self._keep(lane, lambda job: job.assignment not in leaving or (running and job is head))

    def _keep(self, lane: Lane, wanted: Callable[[Job], bool]) -> list[Job]:
        """Drop from a lane what is not ``wanted``, and return it; `_reorder` is due then."""
        queue, failed = self._queues[lane], self._release(lane)
        head, kept, dropped = queue[0], list[Job](), list[Job]()
        for job in queue:
            (kept if wanted(job) else dropped).append(job)
        for job in dropped:
            self._forget(job)
        same = bool(kept) and kept[0] is head
        self._replace(lane, kept, was_waiting=lane in self._due and not same)
        if failed and same:
            self._hold(lane)
        return dropped

    def _replace(self, lane: Lane, kept: list[Job], *, was_waiting: bool) -> None:
        if was_waiting:
            del self._due[lane]
        if not kept:
            del self._queues[lane]
            return
        self._queues[lane] = kept
        if was_waiting:
            self._make_ready(kept[0])

    def _wait(self, job: Job, due: float) -> None:
        self._due[job.lane] = due
        self._hold(job.lane)
        heapq.heappush(self._heap, (due, job.number, job.lane))

    def _hold(self, lane: Lane) -> None:
        """Note that the head of a lane has failed; it holds what is behind it."""
        if lane not in self._failed:
            self._failed.add(lane)
            self._count_failed(lane, 1)

    def _release(self, lane: Lane) -> bool:
        """Note that the head of a lane fails no more; return whether it did."""
        failed = lane in self._failed
        if failed:
            self._failed.remove(lane)
            self._count_failed(lane, -1)
        return failed

    def _count_failed(self, lane: Lane, sign: int) -> None:
        queue = self._queues[lane]
        _count(self._retrying, queue[0].assignment, sign)
        for job in queue:
            _count(self._held, job.assignment, sign)

    def _make_ready(self, head: Job) -> None:
        self._heads[head.number] = head
        heapq.heappush(self._ready, head.number)

    def _forget(self, job: Job) -> None:
        self._pending[job.assignment] -= 1
        if not self._pending[job.assignment]:
            del self._pending[job.assignment]


def _count(counts: Counter[Assignment], assignment: Assignment, number: int) -> None:
    """Add; a partition with nothing is forgotten."""
    counts[assignment] += number
    if not counts[assignment]:
        del counts[assignment]
