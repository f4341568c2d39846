"""Dead letters of keys that wait which an owner before wrote late: they are passed over, and are given a resolution.

Their records are with who has the partitions now (`headrace.flow.ownership`), so nobody is to put them back.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from headrace.config import Config
from headrace.flow.offsets import Span
from headrace.flow.ownership import Owners
from headrace.flow.partitions import Partition
from headrace.kafka import connection
from headrace.kafka.topics import FencedError, Outgoing, Reader, Writer
from headrace.letters import reading, sequences
from headrace.letters.reading import Place
from headrace.letters.resolutions import written_late
from headrace.resolutions import Key

log = logging.getLogger(__name__)


class Look(NamedTuple):
    """To look for what was written late of the partitions of a ``number``, from the letter ``start`` on.

    ``may``: whether it is sure that they are ours still.
    """

    number: int
    start: int
    owners: Mapping[Partition, Owners]
    may: Callable[[], bool]


def pass_over(reader: Reader, config: Config, looks: Collection[Look]) -> list[Look]:
    """Give what is late a resolution, unless it has one, and return from where to look the next time.

    What an open transaction hides is looked at once it shows. Raises what ``Reader`` and ``Writer`` raise, FencedError
    also where it is not sure any more whose they are.
    """
    spans = reader.spans(config.topics.dead_letters)
    there = [look for look in looks if look.number in spans]
    late = [(look, list(_late(reader, config, look, spans[look.number]))) for look in there]
    if any(places for _, places in late):
        topic = reader.id(config.topics.dead_letters)
        done = reading.resolutions(reader, config.topics, topic)
        for look, places in late:
            _resolve(config, look, topic, [one for one in places if one not in done])
    return [look._replace(start=max(look.start, spans[look.number].end)) for look in there]


def _late(reader: Reader, config: Config, look: Look, held: Span) -> Iterator[Place]:
    for letter in sequences.letters(reader, config, look.number, held.since(look.start)):
        owners = look.owners.get(letter.delivery.lane[:2])
        if owners is not None and owners.is_late(letter.offset, letter.by):
            yield Place(look.number, letter.offset)


def _resolve(config: Config, look: Look, topic: str, places: Collection[Place]) -> None:
    if not places:
        return
    value = written_late(datetime.now(UTC))
    keys = [str(Key(topic, *place)).encode() for place in places]
    with Writer(connection.properties(config.kafka), sequences.transactional_id(config, look.number)) as writer:
        if not look.may():
            raise FencedError(f"it is not sure who has the partitions {look.number} now")
        writer.append([Outgoing(topic=config.topics.resolutions, partition=None, key=key, value=value) for key in keys])
    log.warning("passed over, as they came late: %s", ", ".join(f"the dead letter {one}" for one in places))
