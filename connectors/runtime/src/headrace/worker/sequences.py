"""Sees to keys that wait behind their dead letters (`onDeadLetter.action: ParkKey`): until when, and what comes then.

The poll thread alone owns it. From which letter on keys of a partition may wait is told with its commits, so that every
later owner finds them. What became of the letters is read, and followers are moved back, by a thread of its own; what
is left of a key in memory is asked of the event loop's thread (`headrace.worker.followers`).

A key goes through these steps: its heads have a resolution; what was put back of it is handled; its followers are moved
back and handled, so many at a time; it is closed, and the last ones are moved back; it is live. A failure on the way
begins them anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import NamedTuple

from headrace.config import Config
from headrace.failure import Reason
from headrace.flow.finished import Finished
from headrace.flow.lanes import Lane
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.partitions import Partition
from headrace.flow.seen import Again
from headrace.flow.sequences import Written
from headrace.flow.waiting import Chunk, Key, Wish
from headrace.kafka import connection, producer
from headrace.kafka.topics import FencedError, NotTakenError, Reader, RefusedError, TopicMissingError, UnansweredError
from headrace.letters.late import Look, pass_over
from headrace.letters.reading import Place
from headrace.letters.sequences import Outcome, Task, work
from headrace.progress import Sequences as Told
from headrace.worker.beside import Beside
from headrace.worker.dispatch import Dispatcher
from headrace.worker.parking import Learnt

log = logging.getLogger(__name__)

LOOK_EVERY, STEP = 5.0, 0.5
"""Seconds between looks whether there are resolutions, and between looks what may be done next."""

LATE_EVERY = 15.0
"""Seconds between looks whether an owner before wrote a letter late, until which a person may put that back."""

MOST = 5_000
"""Followers that are moved back at once: the next ones when those are handled, as they take memory until then."""

REFUSED_AGAIN = 10.0
"""Seconds until followers are moved again that Kafka refused."""


class _Done(NamedTuple):
    """What became of the work, and from where to look the next time for what came late."""

    found: Outcome
    looks: list[Look]


class Sequences:
    """The keys that wait, of the partitions in ``ledger``."""

    def __init__(
        self, config: Config, ledger: Ledger, dispatcher: Dispatcher, loop: asyncio.AbstractEventLoop, lease: Lease
    ) -> None:
        self._config = config
        self._lease = lease
        self._is_wanted = config.delivery.on_dead_letter.action == "ParkKey"
        self._ledger = ledger
        self._followers = dispatcher.keys.followers
        self._loop = loop
        self._keys: dict[Lane, Key] = {}
        self._ends: dict[Partition, int] = {}
        self._again: dict[Partition, tuple[int, Again]] = {}
        self._looks: dict[int, Look] = {}
        self._since: dict[int, int] = {}
        self._asked: frozenset[Place] = frozenset()
        self._work: Beside[_Done | None] = Beside("sequences")
        self._is_busy = False
        self._due = self._looked_at = self._late_at = 0.0

    def begin(self, partitions: Collection[Partition]) -> None:
        """Begin with these partitions, of which nothing is known yet; where no key shall wait any more, none does."""
        self.forget(partitions)
        for assignment in (self._ledger.find(*one) for one in partitions):
            if assignment is not None and not self._is_wanted:
                assignment.sequences = None

    def forget(self, partitions: Collection[Partition]) -> None:
        """Forget what waits of these partitions."""
        gone = frozenset(partitions)
        self._ends = {name: end for name, end in self._ends.items() if name not in gone}
        self._again = {name: what for name, what in self._again.items() if name not in gone}
        self._keys = {lane: key for lane, key in self._keys.items() if lane[:2] not in gone}
        numbers = {number for _, number in partitions}
        self._looks = {number: look for number, look in self._looks.items() if number not in numbers}

    def _learn(self, learnt: Learnt) -> None:
        """Learn which keys of the partitions of a number wait."""
        number, seen, since = learnt.retry.partition, learnt.waiting, learnt.since
        self._look_for_late(learnt)
        self._ends |= dict.fromkeys(seen.keeps, seen.end)
        self._again |= {name: (self._told_letter(name), again) for name, again in seen.again.items()}
        self._keys |= {lane: Key(found.first, found) for lane, found in seen.keys.items()}
        self._since |= {one: min(end, self._since.get(one, end)) for one, end in since.items()}
        self._tell()
        if seen.keys:
            log.warning("%d keys of the partitions %d wait behind dead letters", len(seen.keys), number)

    def send(self, letter: Finished) -> None:
        """Note that a letter is given to the producer."""
        lane = letter.lane
        if lane is None or lane[:2] not in self._ends or letter.assignment.given_away:
            return
        is_head = letter.reason != Reason.KEY_PARKED.value
        if is_head:
            log.error("its key waits until the dead letter of %s/%d@%d has a resolution", *letter.record.source)
        self._keys.setdefault(lane, Key(self._ends[lane[:2]])).send(letter.record.source.offset, is_head=is_head)

    def wrote(self, letter: Finished, at: producer.Written) -> None:
        """Note where a letter is."""
        key = None if letter.lane is None else self._keys.get(letter.lane)
        if key is None or letter.lane is None or letter.assignment.given_away:
            return
        is_head = letter.reason != Reason.KEY_PARKED.value
        key.wrote(letter.record.source.offset, at.offset if is_head else None)
        name = letter.lane[:2]
        self._ends[name] = max(self._ends[name], at.offset + 1)

    def serve(self, learnt: deque[Learnt], now: float) -> None:
        """Take what was ``learnt`` of partitions that are new here, and do what is due; called often."""
        while learnt:
            one = learnt.popleft()
            if not one.retry.given_away:
                self._learn(one)
        self._hear()
        self._take(now)
        if self._is_busy or now < self._due or not self._ends:
            return
        self._due = now + STEP
        self._tell()
        tasks, looks = list(self._tasks()), self._looks_due(now)
        heads = self._heads()
        if tasks or looks or (heads and now - self._looked_at >= LOOK_EVERY):
            self._looked_at, self._is_busy, self._asked = now, True, heads
            self._work.begin(partial(self._do, tasks, looks, heads, dict(self._since)))

    def _looks_due(self, now: float) -> list[Look]:
        if now - self._late_at < LATE_EVERY:
            return []
        self._late_at = now
        return list(self._looks.values())

    def _heads(self) -> frozenset[Place]:
        return frozenset(Place(lane[1], one) for lane, key in self._keys.items() for one in key.heads)

    def _tasks(self) -> Iterator[Task]:
        """Return what can be done for keys; what needs the event loop's thread first is asked of it."""
        settled = sorted((lane for lane, key in self._keys.items() if self._is_settled(lane, key)), key=_number)
        left = MOST
        for number, lanes in groupby(settled, key=_number):
            unknown, free = dict[Lane, Wish](), dict[Lane, Chunk]()
            for lane in self._ready(list(lanes)):
                key = self._keys[lane]
                if key.must_list and not key.listed:
                    unknown[lane] = key.wish()
                elif left > 0 and (chunk := self._chunk(lane, key, left)) is not None:
                    free[lane] = chunk
                    left -= len(chunk.followers)
            retry, look = self._ledger.find(self._config.topics.retry, number), self._looks.get(number)
            if retry is not None and look is not None and (unknown or free):
                yield Task(retry, look.may, look.owners, unknown, free)

    def _is_ours(self, retry: Assignment) -> bool:
        """Whether it is sure that what is moved back into a retry partition is ours; any thread may ask."""
        return not retry.given_away and self._lease.holds(time.monotonic())

    def _is_settled(self, lane: Lane, key: Key) -> bool:
        """Whether a key waits for no resolution, all that was put back of it was read, and all before its letters."""
        retry, source = self._ledger.find(self._config.topics.retry, lane[1]), self._ledger.find(*lane[:2])
        if key.heads or retry is None or source is None:
            return False
        return retry.position >= key.end and (source.position >= key.until or source.ended)

    def _ready(self, lanes: Collection[Lane]) -> list[Lane]:
        """Return those of which nothing is in memory, or of which no more letters come; others are asked about."""
        asked = [lane for lane in lanes if not self._keys[lane].is_idle and self._keys[lane].closed is None]
        if asked:
            self._loop.call_soon_threadsafe(self._followers.ask, asked)
        return [lane for lane in lanes if self._keys[lane].is_ready]

    def _chunk(self, lane: Lane, key: Key, most: int) -> Chunk | None:
        """Return what is moved back of a key now: of many the first, and all once it is closed; then it is live."""
        if not key.is_closed and len(key.listed) <= MOST:
            key.closed = -1
            self._loop.call_soon_threadsafe(self._followers.close, lane)
            return None
        if not key.listed:
            self._loop.call_soon_threadsafe(self._followers.release, lane, key.sent.letters)
            return None
        self._loop.call_soon_threadsafe(self._followers.free, lane, key.sent.heads)
        return key.chunk(len(key.listed) if key.is_closed else most)

    def _hear(self) -> None:
        """Learn what the event loop's thread answers; a key that is live again may wait anew by now."""
        answers = self._followers.answers
        while answers:
            lane, written, what = answers.popleft()
            key = self._keys.get(lane)
            if key is None:
                continue
            if what == "idle":
                key.idle = written.heads
            elif what == "closed" and key.closed is not None:
                key.closed = written.letters
            elif what == "live":
                self._live(lane, key, written)

    def _live(self, lane: Lane, key: Key, written: Written) -> None:
        key.sent = Written(key.sent.letters - written.letters, key.sent.heads - written.heads)
        key.idle = None
        if not key.sent.letters:
            del self._keys[lane]
            log.info("a key of %s/%d is live again", lane[0], lane[1])

    def _tell(self) -> None:
        """Have commits tell from which letter on keys of a partition may wait, and how many do."""
        firsts: dict[Partition, list[int]] = {name: [] for name in self._ends}
        for lane, key in self._keys.items():
            firsts[lane[:2]].append(key.first)
        for name, letters in firsts.items():
            source = self._ledger.find(*name)
            if source is not None:
                first = min([self._ends[name], *letters, *self._letters_before(source)])
                source.sequences = Told(name[1], first, len(letters))

    def _look_for_late(self, learnt: Learnt) -> None:
        """Begin to look for letters that others than the ``owners`` wrote in their time."""
        found = ((name, owners, self._ledger.find(*name)) for name, owners in learnt.waiting.owners.items())
        owners = {name: one._replace(own=source.parkers[-1]) for name, one, source in found if source is not None}
        if owners:
            start = min(max(self._told_letter(name), one.first()) for name, one in owners.items())
            number = learnt.retry.partition
            self._looks[number] = Look(number, start, owners, partial(self._is_ours, learnt.retry))

    def _told_letter(self, name: Partition) -> int:
        source = self._ledger.find(*name)
        return 0 if source is None or source.sequences is None else source.sequences.letter

    def _letters_before(self, source: Assignment) -> Iterator[int]:
        """Return from which letter on an owner before told, while what is a letter already may come once more.

        Who has the partition next must know those, too; and those that may have come late.
        """
        if source.partition in self._looks:
            yield self._looks[source.partition].start
        letter, again = self._again.get(source.name, (0, None))
        retry = self._ledger.find(self._config.topics.retry, source.partition)
        if again is not None and not (_has_passed(source, again.source) and _has_passed(retry, again.retry)):
            yield letter

    def _take(self, now: float) -> None:
        """Learn what became of the work; where Kafka did not do what was asked, all is asked anew."""
        for found in self._work.take():
            self._is_busy = False
            if found is None:
                self._due = now + REFUSED_AGAIN
                self._begin_anew()
            else:
                self._learn_outcome(found)

    def _learn_outcome(self, done: _Done) -> None:
        """Learn what was done and found; of a head that was not asked about, what was resolved may have been read."""
        found, looks = done
        self._looks |= {one.number: one for one in looks if self._is_present(one)}
        if self._heads() <= self._asked:
            self._since.update(found.since)
        for lane, key in self._keys.items():
            end = found.ends.get(lane[1], 0)
            key.resolve({place.offset for place in found.resolved if place.partition == lane[1]}, end)
            if lane in found.listed:
                key.list(*found.listed[lane], end)
            if lane in found.moved:
                key.moved(found.moved[lane], end)

    def _is_present(self, look: Look) -> bool:
        """Whether it is one of the present ownership."""
        present = self._looks.get(look.number)
        return present is not None and present.owners is look.owners

    def _begin_anew(self) -> None:
        for lane, key in self._keys.items():
            if key.closed is not None:
                self._loop.call_soon_threadsafe(self._followers.open, lane)
            key.begin_anew()

    def _do(
        self, tasks: Collection[Task], looks: Collection[Look], heads: Collection[Place], since: Mapping[int, int]
    ) -> Iterator[_Done | None]:
        """Do it once, and return what became of it, None where Kafka did not do it; in its own thread."""
        try:
            with Reader(connection.properties(self._config.kafka), group=self._config.group) as reader:
                nexts = pass_over(reader, self._config, looks) if looks else []
                yield _Done(work(reader, self._config, tasks, heads, since), nexts)
        except (RefusedError, UnansweredError, TopicMissingError, NotTakenError, FencedError, OSError) as error:
            log.warning("keys that wait behind dead letters wait on, trying again: %s", error)
            yield None


def _number(lane: Lane) -> int:
    return lane[1]


def _has_passed(assignment: Assignment | None, offset: int) -> bool:
    return assignment is not None and (assignment.frontier or 0) >= offset
