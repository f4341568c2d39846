"""Keys that wait behind their dead letters: which they are, and how their followers are moved back.

Followers go back as redriven letters do, each in one transaction with its resolution, in the order that their records
have in the source: what was moved back and fails again lies behind what was not. One transactional id for each
partition: who has the partition next ends what an owner before left open.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from headrace import headers, names, resolutions
from headrace.config import Config, Topics
from headrace.flow.lanes import Lane
from headrace.flow.ledger import Assignment
from headrace.flow.offsets import Span
from headrace.flow.ownership import Owners
from headrace.flow.parking import Mark
from headrace.flow.partitions import Partition
from headrace.flow.seen import NOTHING, Begun, Letter, Seen, known, lane_of_letter, seen
from headrace.flow.waiting import Chunk, Follower, Listed, Wish
from headrace.kafka import connection
from headrace.kafka.topics import FencedError, Outgoing, Reader, RefusedError, Stored, Writer
from headrace.letters import reading, redrive
from headrace.letters.parked import Scan
from headrace.letters.reading import Place
from headrace.letters.resolutions import is_late

log = logging.getLogger(__name__)

BATCH, BATCH_BYTES = 100, 4 << 20
"""Letters, and bytes of their values, in one transaction: the one with which it is reached is in it."""


class Resolved(NamedTuple):
    """The offsets of the letters of each partition with a resolution, as known when the resolutions ended there.

    But those that were ``late``, which count for nothing.
    """

    offsets: Mapping[int, set[int]]
    late: Mapping[int, set[int]]
    ends: Mapping[int, int]

    def of(self, number: int) -> Collection[int]:
        """Return the offsets of those in a partition."""
        return self.offsets.get(number, ())


class Task(NamedTuple):
    """What to do for the keys of one retry partition: list those ``unknown``, and move followers of the ``free``.

    ``may``: whether it is sure that they are ours still. Of the letters those of the ``owners`` count.
    """

    retry: Assignment
    may: Callable[[], bool]
    owners: Mapping[Partition, Owners]
    unknown: Mapping[Lane, Wish]
    free: Mapping[Lane, Chunk]


class Outcome(NamedTuple):
    """The letters with a resolution, keys that were listed or moved, and the ends of the retry topic after that.

    ``since`` is where the resolutions ended.
    """

    since: Mapping[int, int]
    resolved: Collection[Place]
    listed: Mapping[Lane, tuple[Wish, Listed]]
    moved: Mapping[Lane, Chunk]
    ends: Mapping[int, int]


def transactional_id(config: Config, number: int) -> str:
    """Return the transactional id under which the followers of the partitions of a number are moved."""
    return f"{names.transactional_id('sequences', config.group)}.{number}"


def resolved(reader: Reader, topics: Topics) -> Resolved:
    """Return what became of letters; raises what ``Reader`` raises."""
    ends = _ends(reader, topics.resolutions)
    offsets, late = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
    for place, was_late in reading.resolutions(reader, topics, reader.id(topics.dead_letters), is_late).items():
        (late if was_late else offsets)[place.partition].add(place.offset)
    return Resolved(offsets, late, ends)


def scanned(
    config: Config, begun: Mapping[int, Sequence[Begun]], scans: Iterable[tuple[int, Scan]]
) -> Iterator[tuple[int, Scan, Seen, Mapping[int, int]]]:
    """Yield with each retry partition that was scanned which keys wait of its number, of which that is ``begun``.

    And where the resolutions ended before. Where nothing told from which letter on keys wait, all that the topic has
    are looked at. The ``scans`` begin once the resolutions are read, so that what was put back until then is in them.
    Raises what ``Reader`` and ``Writer`` do, and what ``scans`` do.
    """
    done = _final(config, begun) if begun else None
    for number, found in scans:
        if done is None or number not in begun:
            yield number, found, NOTHING, {}
            continue
        with Reader(connection.properties(config.kafka), group=config.group) as reader:
            yield number, found, _seen(reader, config, number, begun[number], found, done), done.ends


def _final(config: Config, begun: Mapping[int, Sequence[Begun]]) -> Resolved:
    """Return what became of letters, once no owner before moves followers of these partitions any more."""
    with Reader(connection.properties(config.kafka), group=config.group) as reader:
        for number, end in reading.written(reader, config.topics.dead_letters).items():
            if any(one.start < end for one in begun.get(number, ())):
                _fence(config, number)
        return resolved(reader, config.topics)


def _fence(config: Config, number: int) -> None:
    """End what an owner before moves back, who may live on or have been killed: all of it or nothing is there then.

    Kafka does so as the transactional id is begun with anew (KIP-98). Where this login may not, nobody's did.
    """
    try:
        with Writer(connection.properties(config.kafka), transactional_id(config, number)):
            pass
    except RefusedError as error:
        log.warning("what an owner before left open ends by itself: %s", error)


def _seen(reader: Reader, config: Config, number: int, begun: Sequence[Begun], parked: Scan, done: Resolved) -> Seen:
    held = reading.settled(reader, config.topics.dead_letters, number).get(number)
    most = parked.counts.get(config.topics.retry)
    alike = [one for one in begun if parked.counts.get(one.name[0]) == most]
    if held is None or not alike:
        return NOTHING
    keeps = {one.name: one.within(held.end) for one in alike}
    span, late = held.since(min(one.start for one in keeps.values())), done.late.get(number, ())
    there = (one for one in letters(reader, config, number, span) if one.offset not in late)
    return seen(there, parked.pending, keeps, resolved=done.of(number), ends=(held.end, parked.end))


def letters(reader: Reader, config: Config, number: int, span: Span) -> Generator[Letter, None, None]:
    """Yield the letters of a partition that are of sequences."""
    for stored in reader.read(config.topics.dead_letters, number, span):
        said = headers.decode(stored.headers)
        lane, is_ours = lane_of_letter(stored.key, said), said.group == config.group
        delivery = None if lane is None else known(lane, said)
        if lane is not None and delivery is not None and is_ours and (said.parks_key is not None or said.follows):
            yield Letter(stored.offset, delivery, said.follows, said.parks_key or "")


def work(
    reader: Reader, config: Config, tasks: Collection[Task], heads: Collection[Place], since: Mapping[int, int]
) -> Outcome:
    """Do these tasks and look what became of ``heads``, of which nothing was up to ``since``.

    Raises what ``Reader`` and ``Writer`` raise; followers may have been moved back then.
    """
    places, until = _mentioned(reader, config.topics, since)
    is_asked = any(task.unknown for task in tasks) or not places.isdisjoint(heads)
    done = resolved(reader, config.topics) if is_asked else None
    listed, moved = dict[Lane, tuple[Wish, Listed]](), dict[Lane, Chunk]()
    for task in tasks:
        if task.unknown and done is not None:
            listed |= _listed(reader, config, task, done)
        if task.free:
            _move(reader, config, task)
            moved |= task.free
    found = [place for place in heads if done is not None and place.offset in done.of(place.partition)]
    return Outcome(until, found, listed, moved, reading.written(reader, config.topics.retry))


def _ends(reader: Reader, topic: str) -> dict[int, int]:
    return {number: span.end for number, span in reader.spans(topic).items()}


def _mentioned(reader: Reader, topics: Topics, since: Mapping[int, int]) -> tuple[set[Place], dict[int, int]]:
    """Return of which letters something was resolved since the resolutions ended there, and where they end now."""
    places, ends = set[Place](), dict[int, int]()
    for number, span in reader.spans(topics.resolutions).items():
        ends[number] = span.end
        for stored in reader.read(topics.resolutions, number, span.since(since.get(number, 0))):
            key = resolutions.decode(stored.key)
            if key is not None:
                places.add(Place(key.partition, key.offset))
    return places, ends


def _listed(reader: Reader, config: Config, task: Task, done: Resolved) -> dict[Lane, tuple[Wish, Listed]]:
    """Return what is outstanding of keys."""
    number, wishes = task.retry.partition, task.unknown
    heads: dict[Lane, set[int]] = {lane: set() for lane in wishes}
    followers: dict[Lane, list[Follower]] = {lane: [] for lane in wishes}
    held = reading.settled(reader, config.topics.dead_letters, number)[number]
    resolved = {*done.of(number), *done.late.get(number, ())}
    for letter in letters(reader, config, number, held.since(min(wish.start for wish in wishes.values()))):
        lane = letter.delivery.lane
        wish = wishes.get(lane)
        if wish is None or letter.offset < wish.start or letter.offset in resolved:
            continue
        if task.owners[lane[:2]].is_late(letter.offset, letter.by):
            continue
        if letter.follows:
            followers[lane].append(Follower(letter.delivery.mark, letter.offset))
        else:
            heads[lane].add(letter.offset)
    return {
        lane: (wish, Listed(frozenset(heads[lane]), sorted(followers[lane]), held.end)) for lane, wish in wishes.items()
    }


def _move(reader: Reader, config: Config, task: Task) -> None:
    number = task.retry.partition
    with Writer(connection.properties(config.kafka), transactional_id(config, number)) as writer:
        mover = Mover(reader, writer, config, number, task.may)
        mover.move([chunk.followers for chunk in task.free.values()])


class Mover:
    """Moves followers of the partitions of a number back, as long as it ``may``.

    That is asked once the writer is entered: whoever has them later enters one later, and ends this one.
    """

    def __init__(self, reader: Reader, writer: Writer, config: Config, number: int, may: Callable[[], bool]) -> None:
        """``writer`` is entered."""
        self._reader = reader
        self._writer = writer
        self._config = config
        self._number = number
        self._may = may
        self._topic = reader.id(config.topics.dead_letters)
        self._order = redrive.Order(redrive_id=str(uuid.uuid4()), by="headrace")

    def move(self, keys: Collection[Sequence[Follower]]) -> None:
        """Move the followers of each of these keys, in their order; a record that has two letters once.

        Raises FencedError where it may not, else what ``Reader`` and ``Writer`` raise.
        """
        for places in _passes(keys):
            span = Span(min(places), max(places) + 1)
            letters = self._reader.read(self._config.topics.dead_letters, self._number, span)
            for batch in _batches(one for one in letters if one.offset in places):
                if not self._may():
                    raise FencedError(f"it is not sure who has the partitions {self._number} now")
                self._writer.append([*chain.from_iterable(self._moved(one, places[one.offset]) for one in batch)])

    def _moved(self, stored: Stored, is_second: bool) -> list[Outgoing]:
        """Return the retry record of a letter and its resolution; the latter alone of a ``second`` of its record."""
        at, partitions = datetime.now(UTC), self._number + 1
        retry, resolution = redrive.put_back(stored, self._config, self._order, self._topic, partitions, at)
        return [resolution] if is_second else [retry, resolution]


def _passes(keys: Collection[Sequence[Follower]]) -> Iterator[dict[int, bool]]:
    """Yield the letters of each time that the topic is read from front to back: of each key those that lie in order.

    They are told with whether they are of a record that another letter is of, too.
    """
    left = [list(_marked(key)) for key in keys if key]
    while left:
        found: dict[int, bool] = {}
        for key in left:
            count = next((n for n in range(1, len(key)) if key[n][0] < key[n - 1][0]), len(key))
            found.update(key[:count])
            del key[:count]
        yield found
        left = [key for key in left if key]


def _marked(key: Sequence[Follower]) -> Iterator[tuple[int, bool]]:
    before: Mark | None = None
    for one in key:
        yield one.letter, one.mark == before
        before = one.mark


def _batches(letters: Iterable[Stored]) -> Iterator[list[Stored]]:
    batch, size = list[Stored](), 0
    for one in letters:
        batch.append(one)
        size += len(one.value or b"")
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
