"""What Kafka has of partitions that may have been added to a source, and of those that they wait for.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from headrace.config import Config
from headrace.flow.added import Barrier, Spans, barrier, older
from headrace.flow.partitions import Partition
from headrace.kafka import connection
from headrace.kafka.topics import Reader, TopicMissingError
from headrace.progress import First, decode


class Seen(NamedTuple):
    """Of a topic how many ``partitions`` it has, and of those asked about which older ones each has, if any.

    ``barriers`` is what those wait for, and ``passed`` which do no more.
    """

    topic: str
    partitions: int
    older: Mapping[int, Collection[int]]
    barriers: Mapping[int, Barrier]
    passed: Collection[int]


def look(
    config: Config, partitions: Collection[Partition], barriers: Mapping[Partition, Barrier], now: float
) -> list[Seen]:
    """Return what Kafka has of these partitions, of which some wait for ``barriers``; others begin to.

    ``now`` is in seconds since 1970. Raises what ``Reader`` raises. Records of open transactions count as well.
    """
    properties = connection.properties(config.kafka)
    with Reader(properties, group=config.group, isolation="read_uncommitted") as reader:
        return [*_looks(reader, config.topics.retry, partitions, barriers, now)]


def _looks(
    reader: Reader, retry: str, partitions: Collection[Partition], barriers: Mapping[Partition, Barrier], now: float
) -> Iterator[Seen]:
    for topic, ones in groupby(sorted(partitions), key=lambda one: one[0]):
        numbers = [number for _, number in ones]
        count, firsts = reader.count(topic), _firsts(reader, topic)
        found = {number: before for number in numbers if (before := older(number, firsts))}
        known = {number: barriers[topic, number] for number in found if (topic, number) in barriers}
        begun = _begun(reader, topic, {number: found[number] for number in found if number not in known}, now)
        yield Seen(topic, count, found, *_gone_on(reader, topic, retry, known | begun))


def _firsts(reader: Reader, topic: str) -> dict[int, First]:
    told = {number: decode(metadata) for number, (_, metadata) in reader.committed(topic).items()}
    return {number: one.first for number, one in told.items() if one is not None and one.first is not None}


def _begun(reader: Reader, topic: str, older: Mapping[int, Collection[int]], now: float) -> dict[int, Barrier]:
    """Return a barrier for each partition that has none; the ends of older ones are asked for after its own."""
    if not older:
        return {}
    upto, spans = reader.spans(topic), reader.spans(topic)
    return {number: barrier(number, before, upto, spans, now) for number, before in older.items()}


def _gone_on(
    reader: Reader, topic: str, retry: str, barriers: Mapping[int, Barrier]
) -> tuple[dict[int, Barrier], frozenset[int]]:
    """Return the barriers as they are now, and which are passed; what is parked is asked for after the sources."""
    if not barriers:
        return {}, frozenset()
    sources = _offsets(reader, topic)
    spans = _spans(reader, retry)
    now = {number: one.next(sources, spans) for number, one in barriers.items()}
    parked = _offsets(reader, retry) if spans else {}
    return now, frozenset(number for number, one in now.items() if one.is_passed(sources, parked))


def _offsets(reader: Reader, topic: str) -> dict[int, int]:
    return {number: offset for number, (offset, _) in reader.committed(topic).items()}


def _spans(reader: Reader, topic: str) -> Spans:
    """Return what a topic has, nothing of one that is not there: nothing is parked then."""
    try:
        return reader.spans(topic)
    except TopicMissingError:
        return {}
