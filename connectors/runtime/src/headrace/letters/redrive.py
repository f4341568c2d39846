"""Put dead letters back through the retry topic, never the source topic.

Each batch is one Kafka transaction that holds the retry records and their resolutions, so a redrive that dies repeats
nothing and forgets nothing. One transactional id per consumer: a younger redrive stops an older one. It must not decide
what is outstanding (``headrace.letters.reading`` does) and not print. A letter that Kafka does not take, that points to
a record that is gone, or whose partition the retry topic lacks, stays outstanding and is told; the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, compress, groupby, islice
from operator import not_

from headrace import headers, names
from headrace.config import Config, Topics
from headrace.failure import Reason
from headrace.flow.offsets import Span
from headrace.kafka.topics import NotTakenError, Outgoing, Reader, Stored, TopicMissingError, Writer
from headrace.letters import pointers, reading
from headrace.letters.reading import Letter, Place, Source
from headrace.letters.resolutions import Resolution
from headrace.resolutions import Key

BATCH = 100
"""Dead letters in one transaction."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which dead letters are meant; an empty part selects by nothing, so an empty selection means all.

    Meant are outstanding ones, with ``again`` those that were put back before, and with ``lost`` those of them whose
    record is not in the retry topic.
    """

    keys: frozenset[str] = frozenset()
    places: frozenset[Place] = frozenset()
    reason: str | None = None
    limit: int | None = None
    again: bool = False
    lost: bool = False

    def takes(self, letter: Letter) -> bool:
        """Return whether ``letter`` is meant, the limit apart."""
        return (
            (not self.keys or letter.key in self.keys)
            and (not self.places or reading.parse_place(letter.name) in self.places)
            and (self.reason is None or letter.reason == self.reason)
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """One redrive: its id, who asked for it."""

    redrive_id: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a redrive would do: the selected dead letters in order, and among how many they were selected.

    ``topic`` is the id of the topic that they lie in.
    """

    topic: str
    places: tuple[Place, ...]
    outstanding: int
    reasons: Mapping[str, int]
    keys: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a redrive is: ``done`` were put back so far, and what just was not, with why."""

    done: int
    refused: tuple[tuple[Place, str], ...] = ()


class MismatchError(Exception):
    """The retry topic has fewer partitions than a source, so what is put back would run beside its key."""


class ElsewhereError(Exception):
    """The retry topic has no partition of the number that a letter's record had; the text says which."""


class FollowerError(Exception):
    """A letter was chosen whose record waits behind another one of its key; the text says which."""


class LostError(Exception):
    """The record that a letter without value points to is not there any more; the text says where it was."""


def transactional_id(config: Config) -> str:
    """Return the one transactional id under which the dead letters of a consumer are redriven."""
    return names.transactional_id("redrive", config.group)


def plan(reader: Reader, config: Config, selection: Selection) -> Plan:
    """Return which dead letters ``selection`` means now.

    Where keys wait behind their dead letters, those that wait go back by themselves. Raises FollowerError where one is
    chosen, MismatchError when letters may not be put back as the topics are, else what ``Reader`` raises.
    """
    taken: list[Place] = []
    waiting = _Waiting() if config.delivery.on_dead_letter.action == "ParkKey" and not selection.lost else None
    keys: set[str | None] = set()
    reasons: Counter[str] = Counter()
    total = 0
    topic = reader.id(config.topics.dead_letters)
    among = reading.wanted(reader, config.topics, put_back=selection.again, gone=selection.lost)
    for letter in among:
        total += 1
        if waiting is not None and waiting.has(letter, selection):
            continue
        if selection.takes(letter) and (selection.limit is None or len(taken) < selection.limit):
            taken.append(reading.parse_place(letter.name))
            keys.add(letter.key)
            reasons[letter.reason or "unknown"] += 1
    if waiting is not None:
        waiting.check()
    if taken:
        _check(reader, config.topics)
    return Plan(topic=topic, places=tuple(taken), outstanding=total, reasons=dict(reasons), keys=len(keys))


class _Waiting:
    """The letters of records that wait behind another one of their key."""

    def __init__(self) -> None:
        self._heads: dict[tuple[str | None, Source | None], str] = {}
        self._chosen: Letter | None = None

    def has(self, letter: Letter, selection: Selection) -> bool:
        """Note a letter; return whether it is of one that waits."""
        if letter.reason != Reason.KEY_PARKED:
            self._heads[_key(letter)] = letter.name
            return False
        is_chosen = bool(selection.places) or selection.reason is not None
        if is_chosen and selection.takes(letter):
            self._chosen = self._chosen or letter
        return True

    def check(self) -> None:
        """Raise FollowerError if one was chosen."""
        if self._chosen is not None:
            head = self._heads.get(_key(self._chosen))
            behind = f"the dead letter {head}" if head else "a dead letter"
            raise FollowerError(f"{self._chosen.name} did not fail, but waits behind {behind} of its key")


def _key(letter: Letter) -> tuple[str | None, Source | None]:
    """Return what letters of one key of one partition have in common."""
    return letter.key, letter.source and letter.source.model_copy(update={"offset": 0})


def _check(reader: Reader, topics: Topics) -> None:
    most = reader.count(topics.retry)
    for source in topics.sources:
        try:
            count = reader.count(source)
        except TopicMissingError:
            continue
        if count > most:
            raise MismatchError(f"the retry topic {topics.retry} has {most} partitions where {source} has {count}")


def execute(
    reader: Reader,
    writer: Writer,
    config: Config,
    order: Order,
    planned: Plan,
    *,
    now: Callable[[], datetime],
) -> Iterator[Step]:
    """Redrive what is ``planned``; yield how far it is after each transaction.

    ``writer`` was entered before ``planned`` was read, so the plan is final. Raises what ``Reader`` and ``Writer`` do,
    save NotTakenError.
    """
    retry = config.topics.retry
    partitions = reader.count(retry)
    done = 0

    def out(stored: Stored) -> tuple[Outgoing, Outgoing]:
        return put_back(whole(reader, stored, retry), config, order, planned.topic, partitions, now())

    for batch in _batches(planned.places):
        for some in _apart(_stored(reader, config.topics.dead_letters, batch)):
            for step in _appended(some, lambda each: writer.append(list(chain.from_iterable(map(out, each))))):
                done += step.done
                yield Step(done=done, refused=step.refused)


def _appended(batch: Sequence[Stored], append: Callable[[Sequence[Stored]], None]) -> Iterator[Step]:
    """Append a batch in one transaction; what is not taken so is tried one by one, to find out which it is."""
    try:
        append(batch)
    except (NotTakenError, LostError, ElsewhereError) as error:
        if len(batch) == 1:
            yield Step(done=0, refused=((Place(batch[0].partition, batch[0].offset), str(error)),))
            return
        for stored in batch:
            yield from _appended([stored], append)
    else:
        yield Step(done=len(batch))


def whole(reader: Reader, stored: Stored, retry: str) -> Stored:
    """Return the dead letter with the value and the headers of the record that it points to, if it has none itself.

    ``retry`` is the topic whose records have headers of ours beside their own. Raises LostError when that record is
    gone or another one is in its place, else what ``Reader`` raises.
    """
    pointer = pointers.decode(stored.headers)
    if pointer is None:
        return stored
    found = _found(reader, pointer)
    if found is None or pointers.digest(found.value) != pointer.digest:
        what = "is gone" if found is None else "is another one (its SHA-256 differs)"
        raise LostError("the record that it points to, {}/{}/{}, {}".format(*pointer.at, what))
    own = headers.original(found.headers) if found.topic == retry else found.headers
    added = pointers.without(headers.added(stored.headers))
    return replace(stored, key=found.key, value=found.value, headers=(*own, *added))


def _found(reader: Reader, pointer: pointers.Pointer) -> Stored | None:
    topic, partition, offset = pointer.at
    try:
        held = reader.spans(topic).get(partition)
    except TopicMissingError:
        return None
    if held is None or not held.start <= offset < held.end:
        return None
    span = Span(start=offset, end=offset + 1)
    return next((one for one in reader.read(topic, partition, span) if one.offset == offset), None)


def put_back(
    stored: Stored, config: Config, order: Order, topic: str, partitions: int, at: datetime
) -> tuple[Outgoing, Outgoing]:
    """Return the retry record and the resolution of the dead letter ``stored``; both or neither may be written.

    ``topic`` is the id of the topic that it lies in. Raises ElsewhereError when its record's number is none of the
    ``partitions`` that the retry topic has.
    """
    origin = headers.decode(stored.headers).origin
    partition = stored.partition if origin is None else origin.partition
    if not 0 <= partition < partitions:
        raise ElsewhereError(f"its record was in partition {partition}, and {config.topics.retry} has {partitions}")
    retry = Outgoing(
        topic=config.topics.retry,
        partition=partition,
        key=stored.key,
        value=stored.value,
        headers=headers.for_redrive(stored.headers, redrive_id=order.redrive_id, now=at.timestamp()),
    )
    resolution = Resolution(
        by=order.by, at=at, redrive_id=order.redrive_id, retry_topic=retry.topic, retry_partition=partition
    )
    return retry, Outgoing(
        topic=config.topics.resolutions,
        partition=None,
        key=str(Key(topic, stored.partition, stored.offset)).encode(),
        value=resolution.to_json(),
    )


def _stored(reader: Reader, topic: str, places: Sequence[Place]) -> list[Stored]:
    found: list[Stored] = []
    for partition, each in groupby(places, key=lambda place: place.partition):
        offsets = {place.offset for place in each}
        span = Span(start=min(offsets), end=max(offsets) + 1)
        found += [stored for stored in reader.read(topic, partition, span) if stored.offset in offsets]
    return found


def _apart(batch: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Yield those with their value together, then each of the others, which may be large, by itself."""
    points = [pointers.decode(stored.headers) is not None for stored in batch]
    if light := list(compress(batch, map(not_, points))):
        yield light
    yield from ([stored] for stored in compress(batch, points))


def _batches(places: Iterable[Place]) -> Iterator[list[Place]]:
    remaining = iter(sorted(places))
    while batch := list(islice(remaining, BATCH)):
        yield batch
