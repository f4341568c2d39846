"""What the topics tell of keys that wait behind dead letters, to who has just been assigned their partitions.

An owner before may have ended anywhere: some of its letters are written and others, of older records, are not; what it
moved back is handled in part, or has become letters anew in part. What comes again is judged by where it lies in its
source's log, so that each key goes on in its order. Pure.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from headrace import headers
from headrace.config import Order
from headrace.flow.lanes import Lane, lane_of, short_key
from headrace.flow.offset_map import OffsetMap, stamp
from headrace.flow.ownership import Owners
from headrace.flow.parking import Mark
from headrace.flow.partitions import Partition
from headrace.headers import DeadLetter
from headrace.record import Record


class Known(NamedTuple):
    """A delivery of a record: from its source, or from the retry topic by this redrive."""

    lane: Lane
    mark: Mark
    redrive: str | None


class Letter(NamedTuple):
    """A dead letter of a key that waits, or waited: where it lies, of which delivery, whether it follows a head.

    ``by`` names the ownership in which it was written, empty where that is not told.
    """

    offset: int
    delivery: Known
    follows: bool
    by: str = ""


class Begun(NamedTuple):
    """A source partition as it is assigned: from which letter on keys of it may wait, and what is handled of it.

    ``owners`` are those before.
    """

    name: Partition
    start: int
    handled: OffsetMap
    owners: Owners = Owners()

    def within(self, end: int) -> Begun:
        """Return it where letters end there now: who told of later ones told of a topic that was made anew, or cut."""
        return self._replace(start=0 if self.start > end else self.start, owners=self.owners.within(end))

    def gives_again(self, delivery: Known) -> bool:
        """Whether the source gives this delivery once more."""
        offset = delivery.mark.offset
        return delivery.redrive is None and offset >= self.handled.at and not self.handled.has_done(offset)


class Found(NamedTuple):
    """What a key has in the dead-letter topic: ``heads`` that failed, whether some follow; all from ``first`` on.

    ``end`` is where the retry topic ends that has records of the key which were put back, None for none. Of those, what
    lies behind the ``barrier`` in its source waits, as what lies there comes later. What comes from the source does,
    unless it is older than all, which begin with the ``oldest``. Up to ``until`` it may give older ones than followers.
    """

    first: int
    heads: frozenset[int] = frozenset()
    follows: bool = False
    end: int | None = None
    barrier: Mark | None = None
    oldest: Mark | None = None
    until: int = 0

    def with_letter(self, letter: Letter) -> Found:
        """Return it with one more letter."""
        mark = letter.delivery.mark
        found = self._replace(barrier=earlier(mark, self.barrier), oldest=earlier(mark, self.oldest))
        if not letter.follows:
            return found._replace(heads=self.heads | {letter.offset})
        return found._replace(follows=True, until=max(self.until, mark.offset + 1))

    def with_put_back(self, mark: Mark, end: int, *, overtaken: bool) -> Found:
        """Return it with one more record that was put back; it is ``overtaken`` by one that lies behind it."""
        barrier = earlier(mark, self.barrier) if overtaken else self.barrier
        return self._replace(end=end, oldest=earlier(mark, self.oldest), barrier=barrier)


def earlier(mark: Mark, other: Mark | None) -> Mark:
    """Return which of these lies first in its source."""
    return mark if other is None else min(mark, other)


class Again(NamedTuple):
    """Up to where a source and its retry partition may give once more what is a letter already."""

    source: int = 0
    retry: int = 0

    def with_delivery(self, delivery: Known, end: int) -> Again:
        """Return it with a delivery of which there is a letter, where the retry partition ends there."""
        if delivery.redrive is not None:
            return self._replace(retry=end)
        return self._replace(source=max(self.source, delivery.mark.offset + 1))


class Seen(NamedTuple):
    """Of the partitions of one number, as they are assigned: keys that wait, and what is there as a letter already.

    ``keeps`` are the source partitions of which keys can wait, ``end`` is that of the partition of dead letters;
    ``again`` is there of those from which something comes again that is a letter already. ``owners`` are those before.
    """

    keeps: frozenset[Partition]
    end: int
    keys: Mapping[Lane, Found]
    letters: frozenset[Known]
    again: Mapping[Partition, Again] = MappingProxyType({})
    owners: Mapping[Partition, Owners] = MappingProxyType({})


NOTHING = Seen(frozenset(), 0, {}, frozenset())


def seen(
    letters: Iterable[Letter],
    pending: Sequence[Known],
    begun: Mapping[Partition, Begun],
    *,
    resolved: Container[int],
    ends: tuple[int, int],
) -> Seen:
    """Return what is seen of the source partitions ``begun``, whose keys can wait.

    ``pending`` comes again from the retry partition, in its order; these letters are ``resolved``; ``ends`` are those
    of the partitions of dead letters, and of retry.
    """
    found, there, again = dict[Lane, Found](), set[Known](), frozenset(pending)
    for letter in letters:
        delivery, lane = letter.delivery, letter.delivery.lane
        one = begun.get(lane[:2])
        if one is None or letter.offset < one.start or one.owners.is_late(letter.offset, letter.by):
            continue
        if delivery in again or one.gives_again(delivery):
            there.add(delivery)
        if letter.offset not in resolved:
            found[lane] = found.get(lane, Found(letter.offset)).with_letter(letter)
    for delivery, overtaken in _put_back(pending, there):
        lane = delivery.lane
        if lane[:2] in begun and isinstance(lane[2], bytes):
            before = found.get(lane, Found(ends[0]))
            found[lane] = before.with_put_back(delivery.mark, ends[1], overtaken=overtaken)
    owners = {name: one.owners for name, one in begun.items()}
    return Seen(frozenset(begun), ends[0], found, frozenset(there), _again(there, ends[1]), owners)


def _again(letters: Iterable[Known], end: int) -> Mapping[Partition, Again]:
    found: dict[Partition, Again] = {}
    for delivery in letters:
        source = delivery.lane[:2]
        found[source] = found.get(source, Again()).with_delivery(delivery, end)
    return found


def _put_back(pending: Iterable[Known], letters: Container[Known]) -> Iterator[tuple[Known, bool]]:
    """Yield what was put back, with whether one comes before it that lies behind it in their source."""
    last: dict[Lane, Mark] = {}
    for delivery in pending:
        if delivery.redrive is None:
            continue
        before = last.get(delivery.lane, delivery.mark)
        if delivery not in letters:
            last[delivery.lane] = max(delivery.mark, before)
        yield delivery, delivery not in letters and delivery.mark < before


def known(lane: Lane, said: DeadLetter) -> Known | None:
    """Return which delivery a letter, or a record of the retry topic, is of, whose headers say that."""
    if said.origin is None:
        return None
    return Known(lane, Mark(said.origin.offset, stamp(said.timestamp)), said.redrive_id)


def lane_of_letter(key: bytes | None, said: DeadLetter) -> Lane | None:
    """Return the lane of a record whose letter has this key and says that; None of one without a key or an origin."""
    if said.origin is None or key is None:
        return None
    return (said.origin.topic, said.origin.partition, short_key(key))


def pending_among(log: Iterable[Record], order: Order, handled: OffsetMap) -> Iterator[Known]:
    """Return what of a retry partition comes again, of which that is ``handled``: whose letter may be there already."""
    for record in log:
        if record.offset >= handled.at and not handled.has_done(record.offset) and not record.compensates:
            found = known(lane_of(record, order), headers.decode(record.headers))
            if found is not None:
                yield found
