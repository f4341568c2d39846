"""Parks keys that hold up others, and sees to their order when partitions come (`headrace.flow.parking`).

The poll thread alone owns it. What a retry partition holds is read by a thread of its own when it is assigned; until
then neither it nor the source partitions of its number are read. Then it waits until the sources are read beyond what
is parked there: what is older runs first, and may come again from its source.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from headrace.config import Config
from headrace.flow.aside import SHARE
from headrace.flow.budget import Budget
from headrace.flow.finished import Finished
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.ownership import followed, told
from headrace.flow.parking import beyond
from headrace.flow.partitions import Partition, listed
from headrace.flow.seen import Begun, Seen
from headrace.kafka.topics import FencedError, RefusedError, TopicMissingError, UnansweredError
from headrace.letters.parked import Scan, scans
from headrace.letters.parking import Parked
from headrace.letters.sequences import scanned
from headrace.letters.writing import REFUSED
from headrace.progress import Parker
from headrace.worker.beside import Beside
from headrace.worker.dispatch import Dispatcher
from headrace.worker.pauses import Pauses

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between looks for keys to park, while they hold up others."""

MOST_UNREAD, FEW_UNREAD = 100_000, 50_000
"""Parked records not read yet, each of which takes some 300 bytes: no more are added from so many on until so few."""

AGAIN = 2.0
"""Seconds until a retry partition is read again that could not be."""


class Learnt(NamedTuple):
    """What was read of a retry partition, and of keys that wait behind dead letters, as resolutions ended there."""

    retry: Assignment
    scan: Scan
    waiting: Seen
    since: Mapping[int, int]


class Parking:
    """What is parked, written and waits, of the partitions in ``ledger``; ``written`` is told of what Kafka has.

    ``is_full``: no more fits in memory of what comes from the retry topic. What was seen of keys that wait behind dead
    letters is ``learnt``, for `headrace.worker.sequences`.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        pauses: Pauses,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
        written: Callable[[Finished], None],
    ) -> None:
        self._config = config
        self._retry = config.topics.retry
        self._ledger = ledger
        self._pauses = pauses
        self._dispatcher = dispatcher
        self._loop = loop
        self._budget = Budget(SHARE)
        self._may_park = _may_park(config)
        self._may_wait = self._may_park and config.delivery.on_dead_letter.action == "ParkKey"
        self.learnt: deque[Learnt] = deque()
        self._fresh: dict[int, Assignment] = {}
        self._unknown: dict[Assignment, float] = {}
        self._beyond: dict[Assignment, dict[Partition, int]] = {}
        self._alike: set[str] = set()
        self._scans: Beside[Learnt] = Beside("parked")
        self._unanswered = ""
        self._silence: str | None = None
        self._looked_at = 0.0
        self._has_many = self.is_full = False
        self.writer = Parked(config, written)

    def begin(self, partitions: Collection[Partition]) -> None:
        """Begin to learn what these hold, of all that are assigned, and let them and their sources wait until then.

        Of each number all that is here is among these: what is parked is read once they have come together.
        """
        found = (self._ledger.find(*one) for one in partitions)
        fresh = {one.partition: one for one in found if one is not None and one.topic == self._retry}
        self._fresh = {number: one for number, one in self._fresh.items() if not one.given_away} | fresh
        now, left = time.monotonic(), {one: since for one, since in self._unknown.items() if not one.given_away}
        self._unknown = {**left, **dict.fromkeys(fresh.values(), now)}
        self._beyond = {one: places for one, places in self._beyond.items() if not one.given_away}
        self.writer.look_anew()
        self._hold()

    @property
    def refusal(self) -> str | None:
        """Why what is parked has not been written, or read, for a while, if it has not; any thread may ask."""
        return self.writer.refusal or self._silence

    def _scan(
        self,
        fresh: Mapping[int, Assignment],
        begun: Mapping[int, Sequence[Begun]],
        parkers: Mapping[Partition, Sequence[Parker]],
    ) -> Iterator[Learnt]:
        """Read what is parked, again and again until all is answered or nobody waits for it; in its own thread."""
        left = dict(fresh)
        while left := {number: one for number, one in left.items() if not one.given_away}:
            try:
                found = scans(self._config, {number: one.initial for number, one in left.items()}, parkers)
                waited = {number: begun[number] for number in left if number in begun}
                for number, scan, waiting, since in scanned(self._config, waited, found):
                    yield Learnt(left.pop(number), scan, waiting, since)
            except (RefusedError, UnansweredError, TopicMissingError, FencedError, OSError) as error:
                self._unanswered = str(error)
                names = listed(one.name for one in left.values())
                log.warning("not read, nor are its sources, until it is known what is parked: %s: %s", names, error)
                time.sleep(AGAIN)

    def serve(self, crowded: Collection[Assignment], lost: Container[Partition], now: float) -> None:
        """Learn what is parked, write what is on the way there, and hold back what must wait."""
        self._begin_scan()
        self._take_scans()
        self._note_silence(now)
        for one in [one for one, places in self._beyond.items() if self._is_read(places, lost)]:
            del self._beyond[one]
        self._hold()
        if crowded and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            for one in crowded:
                self._loop.call_soon_threadsafe(self._dispatcher.keys.park_failing, one)

    def write(self) -> None:
        """Write what leaves for the retry topic."""
        leaving = self._dispatcher.keys.leaving
        while leaving:
            self.writer.write(leaving.popleft())
        self.writer.serve()

    def relieve(self, now: float) -> None:
        """Park what holds up others: the budget of records from sources is used up."""
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._loop.call_soon_threadsafe(self._dispatcher.keys.park_crowding)

    def _begin_scan(self) -> None:
        """Read what is parked now; what is on the way there from before comes from its source again, too."""
        if self._fresh:
            self._unanswered = ""
            parkers = {one.name: one.parkers for one in self._ledger.owned}
            self._scans.begin(partial(self._scan, self._fresh, self._begun() if self._may_wait else {}, parkers))
            self._fresh = {}

    def _begun(self) -> dict[int, list[Begun]]:
        """Return of each number the source partitions, of which keys may wait behind dead letters."""
        begun: dict[int, list[Begun]] = {number: [] for number in self._fresh}
        for one in self._ledger.owned:
            if one.topic != self._retry and one.partition in begun:
                owners = told(_told_parkers(one), _told_parkers(self._fresh[one.partition]))
                begun[one.partition].append(Begun(one.name, _first_letter(one), one.initial, owners))
        return begun

    def _take_scans(self) -> None:
        for learnt in self._scans.take():
            if learnt.retry in self._unknown:
                number = learnt.retry.partition
                self._learn(learnt)
                self._loop.call_soon_threadsafe(self._dispatcher.keys.followers.begin, number, learnt.waiting)
                self.learnt.append(learnt)

    def _note_silence(self, now: float) -> None:
        """Say what is not known for long though it was asked for."""
        silent = [one.name for one, since in self._unknown.items() if now - since >= REFUSED and not one.given_away]
        is_silent = bool(silent and self._unanswered)
        self._silence = f"what is parked in {listed(silent)} is not known: {self._unanswered}" if is_silent else None

    def _learn(self, learnt: Learnt) -> None:
        assignment, seen = learnt.retry, learnt.scan
        del self._unknown[assignment]
        number, found, own = assignment.partition, seen.found, _owner(learnt)
        before = {one.name: one.parkers for one in self._ledger.owned}
        self._loop.call_soon_threadsafe(self._dispatcher.keys.begin, number, found, own, before)
        waiting, places = sum(not one.done for one in found), beyond(found, seen.ends)
        most = seen.counts.get(self._retry, 0)
        self._alike = {topic for topic in self._config.topics.sources if seen.counts.get(topic, 0) >= most}
        if waiting:
            log.info("%s/%d has %d parked records", self._retry, number, waiting)
        if self._may_wait:
            places = {**dict.fromkeys(self._absent(number), 0), **places}
        if places:
            self._await(assignment, places)
        for one in self._ledger.owned:
            if one.partition == number:
                if one.topic != self._retry or own.letter is not None:
                    one.parkers = followed(one.parkers, own, assignment.initial.at, _first_letter(one))
                one.parks = one.topic != self._retry and self._may_park and seen.counts.get(one.topic) == most

    def _absent(self, number: int) -> list[Partition]:
        """Return the source partitions of a number that come here, and are not here: of their keys some may wait."""
        return [(topic, number) for topic in sorted(self._alike) if self._ledger.find(topic, number) is None]

    def _await(self, assignment: Assignment, places: dict[Partition, int]) -> None:
        """Let what is parked wait until its sources are read so far, which may first have to come here."""
        self._beyond[assignment] = places
        away = [place for place in places if place[0] in self._alike and self._ledger.find(*place) is None]
        if away:
            log.warning("%s/%d is not read until these are here: %s", *assignment.name, listed(away))

    def _is_read(self, places: Mapping[Partition, int], lost: Container[Partition]) -> bool:
        """Whether all that may be older than what is parked was read; a partition that stopped brings nothing."""
        return all(self._is_passed(place, offset) for place, offset in places.items() if place not in lost)

    def _is_passed(self, place: Partition, offset: int) -> bool:
        """Whether a source partition brings nothing more up to ``offset``.

        One that is not here comes, where its topic and the retry topic are assigned alike or will be.
        """
        one = self._ledger.find(*place)
        if one is None:
            return place[0] not in self._alike
        return one.halted or one.position > offset

    def _hold(self) -> None:
        retry = [one for one in self._ledger.owned if one.topic == self._retry]
        waits = {*self._unknown, *self._beyond}
        self.is_full = self._budget.is_used_up(sum(one.in_memory for one in retry), sum(one.size for one in retry))
        if self.is_full:
            waits.update(retry)
        numbers = {one.partition for one in self._unknown if not one.given_away} | self._laden(retry)
        sources = (one for one in self._ledger.owned if one.topic != self._retry and one.partition in numbers)
        self._pauses.set_held(frozenset(one for one in (*waits, *sources) if not one.given_away))

    def _laden(self, retry: Collection[Assignment]) -> set[int]:
        """Return the numbers of which so much is parked that no more may follow; not where what is older is to come."""
        unread = {one.partition: self._dispatcher.keys.unread(one.partition) for one in retry}
        self._has_many = sum(unread.values()) > (FEW_UNREAD if self._has_many else MOST_UNREAD)
        older = {one.partition for one in self._beyond}
        return (
            {number for number, count in unread.items() if count and number not in older} if self._has_many else set()
        )


def _owner(learnt: Learnt) -> Parker:
    """Return the ownership that begins with what was learnt."""
    letter = learnt.waiting.end if learnt.waiting.keeps else None
    return Parker(learnt.scan.end, secrets.token_hex(8), letter)


def _told_parkers(assignment: Assignment) -> Sequence[Parker] | None:
    """Return what the commit of a partition told of its owners, None where there was none."""
    return None if assignment.committed is None else assignment.parkers


def _first_letter(assignment: Assignment) -> int:
    """Return from which dead letter on keys of a partition may wait."""
    return 0 if assignment.sequences is None else assignment.sequences.letter


def _may_park(config: Config) -> bool:
    """Whether a key may go beside its source: not where its partition is to stand as it is dead-lettered."""
    delivery = config.delivery
    return delivery.order != "Partition" and delivery.on_dead_letter.action != "Stop"
