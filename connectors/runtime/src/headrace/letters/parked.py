"""Reads what is parked in the retry topic: which keys, as partitions are assigned, and records that do not fit there.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from headrace import headers
from headrace.config import Config
from headrace.flow.offset_map import OffsetMap
from headrace.flow.offsets import Span
from headrace.flow.parking import Found, parked_among
from headrace.kafka import connection
from headrace.kafka.topics import Reader, Stored, TopicMissingError
from headrace.letters import pointers
from headrace.letters.parking import MOST
from headrace.letters.redrive import whole
from headrace.record import Record


class Scan(NamedTuple):
    """What the retry topic holds: of each partition what is parked there, in its order; and how many topics have."""

    found: dict[int, list[Found]]
    counts: dict[str, int]


def scan(config: Config, begun: Mapping[int, OffsetMap]) -> Scan:
    """Read from these retry partitions what is parked there, from what was known of each when it was assigned.

    All that is written is read, as records of open transactions do not hide what is parked. Raises what `Reader` does,
    and TopicMissingError too where a broker does not know one of the partitions yet.
    """
    topics, order = config.topics, config.delivery.order
    with Reader(connection.properties(config.kafka), group=config.group, isolation="read_uncommitted") as reader:
        counts = dict(_counts(reader, (*topics.sources, topics.retry)))
        spans = reader.spans(topics.retry)
        if missing := begun.keys() - spans.keys():
            raise TopicMissingError(f"{topics.retry}/{min(missing)}")
        found = {
            number: list(parked_among(_read(reader, topics.retry, number, spans[number], known), order, known))
            for number, known in begun.items()
        }
    return Scan(found, counts)


def _counts(reader: Reader, topics: Iterable[str]) -> Iterator[tuple[str, int]]:
    for topic in topics:
        try:
            yield topic, reader.count(topic)
        except TopicMissingError:
            continue


def _read(reader: Reader, topic: str, number: int, span: Span, known: OffsetMap) -> Iterator[Record]:
    """Yield the records of a retry partition without their values, and of those done the last `MOST`, unless all are.

    A record that was written again, as no answer came, lies no farther behind.
    """
    if span.end <= known.at:
        return
    for stored in reader.read(topic, number, Span(max(known.at - MOST, span.start), span.end)):
        said = headers.decode(stored.headers)
        yield Record(
            topic=topic,
            partition=number,
            offset=stored.offset,
            key=stored.key,
            value=None,
            headers=stored.headers,
            timestamp=said.timestamp,
            origin=said.origin,
            compensates=said.compensates,
        )


def is_pointer(record: Record) -> bool:
    """Whether ``record``, parked or a command, is without its value, which it points to."""
    return (
        record.value is None and (record.parked or record.compensates) and pointers.decode(record.headers) is not None
    )


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
