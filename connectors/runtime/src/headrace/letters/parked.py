"""Reads what is parked in the retry topic: which keys, as partitions are assigned, and records that do not fit there.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from headrace import headers
from headrace.config import Config
from headrace.flow.offset_map import OffsetMap
from headrace.flow.ownership import is_late
from headrace.flow.parking import Found, parked_among
from headrace.flow.partitions import Partition
from headrace.flow.seen import Known, pending_among
from headrace.kafka import connection, tails
from headrace.kafka.messages import is_parked
from headrace.kafka.topics import Reader, Stored, TopicMissingError
from headrace.letters import pointers
from headrace.letters.parking import MOST
from headrace.letters.redrive import whole
from headrace.progress import Parker
from headrace.record import Record


class Scan(NamedTuple):
    """What a retry partition holds up to ``end`` that is parked, in its order; and how many partitions topics have.

    ``pending`` is what comes from there again, parked or put back, in its order; asked for with keys that wait behind
    dead letters. ``ends`` are those of its sources, where anything is parked.
    """

    found: list[Found]
    counts: dict[str, int]
    end: int
    pending: Sequence[Known] = ()
    ends: Mapping[Partition, int] = MappingProxyType({})


def scans(
    config: Config, begun: Mapping[int, OffsetMap], parkers: Mapping[Partition, Sequence[Parker]]
) -> Iterator[tuple[int, Scan]]:
    """Read from these retry partitions what is parked, from what was known of each when it was assigned.

    Yields each by its number as soon as it is read, whatever becomes of others. All that is written is read, as records
    of open transactions do not hide what is parked, but what is late by the ``parkers`` of its source. Of what is done
    the last `MOST` are read, unless all is: a record that was written again, as no answer came, lies no farther behind.
    Raises UnansweredError for those of which nothing comes, and what `Reader` does; TopicMissingError also of a source
    that the ``parkers`` are told of, as it is assigned here.
    """
    properties, topic, order = connection.properties(config.kafka), config.topics.retry, config.delivery.order
    with Reader(properties) as reader:
        counts = dict(_counts(reader, (*config.topics.sources, topic), here={topic, *(name for name, _ in parkers)}))
    found: dict[int, list[Found]] = {number: [] for number in begun}
    pending: dict[int, list[Known]] = {number: [] for number in begun}
    is_wanted = config.delivery.on_dead_letter.action == "ParkKey"
    for number, stored in tails.read(properties, topic, {one: known.at for one, known in begun.items()}, before=MOST):
        if isinstance(stored, int):
            parked = found.pop(number)
            ends = {} if all(one.done for one in parked) else dict(_ends(config, number))
            yield number, Scan(parked, counts, stored, pending.pop(number), ends)
        else:
            record = _record(stored, config.group)
            one = [] if is_late(record, parkers.get((record.source.topic, number), ())) else [record]
            found[number] += parked_among(one, order, begun[number])
            pending[number].extend(pending_among(one, order, begun[number]) if is_wanted else ())


def _counts(reader: Reader, topics: Iterable[str], here: Container[str]) -> Iterator[tuple[str, int]]:
    """Yield how many partitions topics have that exist; of what is ``here`` a broker does not know that yet."""
    for topic in topics:
        try:
            yield topic, reader.count(topic)
        except TopicMissingError:
            if topic in here:
                raise


def _ends(config: Config, number: int) -> Iterator[tuple[Partition, int]]:
    """Yield where the source partitions of a ``number`` end, as their leaders say once they know that (KIP-207)."""
    with Reader(connection.properties(config.kafka)) as reader:
        for topic in config.topics.sources:
            with suppress(TopicMissingError):
                yield from (((topic, one), span.end) for one, span in reader.spans(topic, number).items())


def _record(stored: Stored, group: str) -> Record:
    """Return what lies in the retry topic, without its value."""
    said = headers.decode(stored.headers)
    return Record(
        topic=stored.topic,
        partition=stored.partition,
        offset=stored.offset,
        key=stored.key,
        value=None,
        headers=stored.headers,
        timestamp=said.timestamp,
        origin=said.origin,
        parked=is_parked(said, group),
        compensates=said.compensates,
    )


def is_pointer(record: Record) -> bool:
    """Whether ``record``, of the retry topic, is without its value, which it points to."""
    return record.value is None and record.origin is not None and pointers.decode(record.headers) is not None


def restored(config: Config, record: Record) -> Record:
    """Return a record whole that `is_pointer`; raises LostError when its value is gone, else what `Reader` does."""
    stored = Stored(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
    with Reader(connection.properties(config.kafka), group=config.group) as reader:
        found = whole(reader, stored, config.topics.retry)
    return replace(record, key=found.key, value=found.value, headers=found.headers)
