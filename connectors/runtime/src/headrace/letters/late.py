"""Dead letters of keys that wait which an owner before wrote late: they are passed over, and are given a resolution.

Their records are with who has the partitions now (`headrace.flow.ownership`), so nobody is to put them back.

Not for the poll thread: it waits for Kafka's answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import NamedTuple

from headrace.config import Config
from headrace.flow.offsets import Span
from headrace.flow.ownership import Owners
from headrace.flow.partitions import Partition
from headrace.flow.seen import Letter
from headrace.kafka import connection
from headrace.kafka.topics import FencedError, Outgoing, Reader, Writer
from headrace.letters import reading, sequences
from headrace.letters.reading import Place
from headrace.letters.resolutions import written_late
from headrace.resolutions import Key

log = logging.getLogger(__name__)

MOST = 10_000
"""Late letters that are known at a time."""

BATCH = 1_000
"""Resolutions in one transaction, far below what the client queues."""


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
    also where it is not sure any more whose they are; what was done until then is done.
    """
    spans = reader.spans(config.topics.dead_letters)
    there = [look for look in looks if look.number in spans]
    late = _Late(reader, config)
    for look in there:
        start = look.start
        while places := late.after(look, spans[look.number].since(start)):
            late.resolve(look, places)
            start = places[-1].offset + 1
    return [look._replace(start=max(look.start, spans[look.number].end)) for look in there]


class _Late:
    """What is late, so many at a time."""

    def __init__(self, reader: Reader, config: Config) -> None:
        self._reader = reader
        self._config = config
        self._topic = ""
        self._done: dict[int, Collection[int]] = {}

    def after(self, look: Look, held: Span) -> list[Place]:
        """Return the first ones that lie there."""
        found = sequences.letters(self._reader, self._config, look.number, held)
        late = (Place(look.number, one.offset) for one in found if _is_late(look, one))
        try:
            return list(islice(late, MOST))
        finally:
            found.close()

    def resolve(self, look: Look, places: Sequence[Place]) -> None:
        """Give these a resolution, but for those that have one."""
        done = self._resolved(look)
        left = [one for one in places if one.offset not in done]
        if left:
            self._write(look, left)
            log.warning("%d dead letters are passed over, as they came late: %s to %s", len(left), left[0], left[-1])

    def _resolved(self, look: Look) -> Collection[int]:
        """Return which letters of a partition have a resolution, of those that are looked at."""
        if look.number not in self._done:
            topics = self._config.topics
            self._topic = self._reader.id(topics.dead_letters)
            found = reading.resolutions(self._reader, topics, self._topic, bool, partial(_is_beyond, look))
            self._done[look.number] = {one.offset for one in found}
        return self._done[look.number]

    def _write(self, look: Look, places: Sequence[Place]) -> None:
        own = sequences.transactional_id(self._config, look.number)
        with Writer(connection.properties(self._config.kafka), own) as writer:
            for start in range(0, len(places), BATCH):
                if not look.may():
                    raise FencedError(f"it is not sure who has the partitions {look.number} now")
                writer.append([self._outgoing(place) for place in places[start : start + BATCH]])

    def _outgoing(self, place: Place) -> Outgoing:
        key, value = str(Key(self._topic, *place)).encode(), written_late(datetime.now(UTC))
        return Outgoing(topic=self._config.topics.resolutions, partition=None, key=key, value=value)


def _is_late(look: Look, letter: Letter) -> bool:
    owners = look.owners.get(letter.delivery.lane[:2])
    return owners is not None and owners.is_late(letter.offset, letter.by)


def _is_beyond(look: Look, place: Place) -> bool:
    return place.partition == look.number and place.offset >= look.start
