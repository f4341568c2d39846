"""Partitions that stand behind a dead letter: whether they may go on, as the resolutions topic says.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from headrace import headers
from headrace.config import Topics
from headrace.flow.offsets import Span
from headrace.flow.partitions import Partition
from headrace.kafka.topics import Reader
from headrace.letters.reading import Place, resolutions, written
from headrace.progress import Stop

Ends = tuple[Mapping[int, Span], Mapping[int, Span]]
"""What the topics of dead letters and of resolutions hold, by partition."""


class Look(NamedTuple):
    """What each partition stands behind, None is nothing any more; and the ends of the retry topic after that."""

    stops: dict[Partition, Stop | None]
    ends: dict[int, int]


def ends(reader: Reader, topics: Topics) -> Ends:
    """Return what, while it stays the same, says that nothing new is known; raises what ``Reader`` raises."""
    return reader.spans(topics.dead_letters), reader.spans(topics.resolutions)


def look(reader: Reader, topics: Topics, stops: Mapping[Partition, Stop]) -> Look:
    """Return of each partition the first letter without a resolution, from the one on that it stands behind.

    A letter that is not there any more holds up nothing. What was put back came into the retry topic together with its
    resolution, so it lies before the end that is asked for afterwards. Raises what ``Reader`` raises.
    """
    resolved = resolutions(reader, topics, reader.id(topics.dead_letters), bool).keys()
    spans = reader.spans(topics.dead_letters)
    first = {
        source: _first(reader, topics.dead_letters, source, stop, spans.get(stop.partition), resolved)
        for source, stop in stops.items()
    }
    return Look(first, written(reader, topics.retry))


def _first(
    reader: Reader, topic: str, source: Partition, stop: Stop, held: Span | None, resolved: Collection[Place]
) -> Stop | None:
    if held is None:
        return None
    for stored in reader.read(topic, stop.partition, held.since(stop.letter)):
        origin = headers.decode(stored.headers).origin
        is_its = origin is not None and (origin.topic, origin.partition) == source
        if origin is not None and is_its and Place(stored.partition, stored.offset) not in resolved:
            return Stop(stored.partition, stored.offset, origin.offset)
    return None
