"""Which partitions are not read for now: all while too much is unfinished, some while too much is to be told of them.

Others wait for the retry partition of their number, or for partitions that hold less than they do, what is parked waits
for what is older, and some stand behind a dead letter. The poll thread alone owns it. A pause throws away what was
fetched ahead, and the client keeps it beyond an assignment.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from headrace.flow.ledger import Assignment
from headrace.flow.partitions import Partition, listed
from headrace.kafka.consumer import Source
from headrace.metrics import Metrics, Paused

log = logging.getLogger(__name__)

NONE: frozenset[Assignment] = frozenset()


class Pauses:
    """The pauses of what is assigned now."""

    def __init__(self, source: Source, metrics: Metrics) -> None:
        self._source = source
        self._counts = metrics.paused
        self._some: dict[Paused, frozenset[Assignment]] = {}
        self._all: tuple[Assignment, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing at all is read."""
        return bool(self._all)

    @property
    def some(self) -> frozenset[Assignment]:
        """The partitions that are not read whatever else is: crowded and laden ones, and those that wait."""
        return NONE.union(*self._some.values())

    @property
    def waiting(self) -> frozenset[Assignment]:
        """Those of `some` that are not read whatever other partitions hold."""
        return NONE.union(*(ones for why, ones in self._some.items() if why != "full"))

    @property
    def alone(self) -> frozenset[Assignment]:
        """The partitions that wait for their retry partition."""
        return self._some.get("retry-partition", NONE)

    def begin(self, owned: Collection[Assignment]) -> None:
        """Read nothing."""
        if not self._all:
            self._source.pause(_names(owned))
            self._all = tuple(owned)
            self._measure()

    def end(self) -> None:
        """Read again, but for `some`."""
        if self._all:
            self._source.resume(sorted({*_names(self._all)}.difference(_names(self.some))))
            self._all = ()
            self._measure()

    def set_crowded(self, crowded: frozenset[Assignment]) -> None:
        """Do not read these partitions, of which more is to be told than fits."""
        if came := crowded - self._some.get("commit", NONE):
            log.warning("more is to be told of %s than fits in a commit: no more is read of it", listed(_names(came)))
        self._set("commit", crowded)

    def set_alone(self, alone: frozenset[Assignment]) -> None:
        """Do not read these partitions, whose retry partition is not here."""
        self._set("retry-partition", alone)

    def set_added(self, added: frozenset[Assignment]) -> None:
        """Do not read these partitions, which were added to a source and wait for what is older of their keys."""
        self._set("added", added)

    def set_held(self, held: frozenset[Assignment]) -> None:
        """Do not read these partitions: they hold what is parked, or wait until that is known."""
        self._set("parked", held)

    def set_stopped(self, stopped: frozenset[Assignment]) -> None:
        """Do not read these partitions, which stand behind a dead letter."""
        self._set("dead-letter", stopped)

    def set_laden(self, laden: frozenset[Assignment]) -> None:
        """Do not read these partitions, which hold their share while others do not."""
        self._set("full", laden)

    def release(self, assignments: Collection[Assignment]) -> None:
        """Pause none of what is given away: who has it next judges it anew."""
        self.end()
        self._change({why: ones.difference(assignments) for why, ones in self._some.items() if why != "commit"})

    def _set(self, why: Paused, partitions: frozenset[Assignment]) -> None:
        if partitions != self._some.get(why, NONE):
            self._change({**self._some, why: partitions})

    def _change(self, some: dict[Paused, frozenset[Assignment]]) -> None:
        before = {*_names(self.some)}
        self._some = some
        if not self._all:
            after = {*_names(self.some)}
            self._source.pause(sorted(after - before))
            self._source.resume(sorted(before - after))
        self._measure()

    def _measure(self) -> None:
        for why, count in self._counts.items():
            count.set(len(self._some.get(why, NONE).union(self._all if why == "full" else ())))


def _names(assignments: Iterable[Assignment]) -> list[Partition]:
    return [one.name for one in assignments]
