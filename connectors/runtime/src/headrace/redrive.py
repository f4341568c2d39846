"""Put dead letters back through the retry topic, never the source topic.

Each batch is one Kafka transaction that holds the retry records and their resolutions, so a redrive that dies repeats
nothing and forgets nothing. One transactional id per consumer: a younger redrive stops an older one. It must not decide
what is outstanding (``headrace.dead_letters`` does) and not print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from headrace import dead_letters, headers
from headrace.config import Config
from headrace.dead_letters import Letter, Place, Resolution
from headrace.topics import Outgoing, Reader, Span, Stored, Writer

BATCH = 100
"""Dead letters in one transaction."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which outstanding dead letters are meant; an empty part selects by nothing, so an empty selection means all."""

    keys: frozenset[str] = frozenset()
    places: frozenset[Place] = frozenset()
    reason: str | None = None
    limit: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Return whether ``letter`` is meant, the limit apart."""
        return (
            (not self.keys or letter.key in self.keys)
            and (not self.places or dead_letters.parse_place(letter.name) in self.places)
            and (self.reason is None or letter.reason == self.reason)
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """One redrive: its id, who asked for it."""

    redrive_id: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a redrive would do: the selected dead letters in order, and how many are outstanding in all."""

    places: tuple[Place, ...]
    outstanding: int
    reasons: Mapping[str, int]
    keys: int


def transactional_id(namespace: str, consumer: str) -> str:
    """Return the one transactional id under which the dead letters of a consumer are redriven."""
    return f"headrace.redrive.{namespace}.{consumer}"


def plan(reader: Reader, config: Config, selection: Selection) -> Plan:
    """Return which outstanding dead letters ``selection`` means now; raises what ``Reader`` raises."""
    taken: list[Place] = []
    keys: set[str | None] = set()
    reasons: Counter[str] = Counter()
    total = 0
    for letter in dead_letters.outstanding(reader, config.topics):
        total += 1
        if selection.takes(letter) and (selection.limit is None or len(taken) < selection.limit):
            taken.append(dead_letters.parse_place(letter.name))
            keys.add(letter.key)
            reasons[letter.reason or "unknown"] += 1
    return Plan(places=tuple(taken), outstanding=total, reasons=dict(reasons), keys=len(keys))


def execute(
    reader: Reader,
    writer: Writer,
    config: Config,
    order: Order,
    planned: Plan,
    *,
    now: Callable[[], datetime],
) -> Iterator[int]:
    """Redrive what is ``planned``; yield the number done so far after each transaction.

    ``writer`` was entered before ``planned`` was read, so the plan is final. Raises what ``Reader`` and ``Writer`` do.
    """
    partitions = reader.spans(config.topics.retry)
    done = 0
    for batch in _batches(_stored(reader, config.topics.dead_letters, planned.places)):
        at = now()
        writer.append([out for stored in batch for out in put_back(stored, config, order, partitions, at)])
        done += len(batch)
        yield done


def put_back(
    stored: Stored, config: Config, order: Order, partitions: Collection[int], at: datetime
) -> tuple[Outgoing, Outgoing]:
    """Return the retry record and the resolution of the dead letter ``stored``; both or neither may be written."""
    origin = headers.decode(stored.headers).origin
    partition = (stored.partition if origin is None else origin.partition) % len(partitions)
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
        key=str(Place(stored.partition, stored.offset)).encode(),
        value=resolution.to_json(),
    )


def _stored(reader: Reader, topic: str, places: Sequence[Place]) -> Iterator[Stored]:
    wanted: dict[int, set[int]] = {}
    for place in places:
        wanted.setdefault(place.partition, set()).add(place.offset)
    for partition, offsets in sorted(wanted.items()):
        span = Span(start=min(offsets), end=max(offsets) + 1)
        yield from (stored for stored in reader.read(topic, partition, span) if stored.offset in offsets)


def _batches(stored: Iterable[Stored]) -> Iterator[list[Stored]]:
    remaining = iter(stored)
    while batch := list(islice(remaining, BATCH)):
        yield batch
