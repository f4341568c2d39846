"""Which partitions are not read for now: all while too much is unfinished, some while too much is to be told of them.

The poll thread alone owns it. A pause throws away what was fetched ahead, and the client keeps it beyond an assignment.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from headrace.flow.ledger import Assignment
from headrace.kafka.consumer import Source
from headrace.metrics import Metrics

log = logging.getLogger(__name__)


class Pauses:
    """The pauses of what is assigned now."""

    def __init__(self, source: Source, metrics: Metrics) -> None:
        self._source = source
        self._metrics = metrics
        self._crowded: frozenset[Assignment] = frozenset()
        self._all: tuple[Assignment, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing at all is read."""
        return bool(self._all)

    def is_crowded(self, assignment: Assignment) -> bool:
        """Whether a partition is not read because too much is to be told of it."""
        return assignment in self._crowded

    def begin(self, owned: Collection[Assignment]) -> None:
        """Read nothing."""
        if not self._all:
            self._source.pause(_names(owned))
            self._all = tuple(owned)
            self._measure()

    def end(self) -> None:
        """Read again, but for what is crowded."""
        if self._all:
            self._source.resume(_names(one for one in self._all if one not in self._crowded))
            self._all = ()
            self._measure()

    def set_crowded(self, crowded: frozenset[Assignment]) -> None:
        """Do not read these partitions, whatever else is read."""
        if crowded == self._crowded:
            return
        came, went = crowded - self._crowded, self._crowded - crowded
        if came:
            log.warning("more is to be told of %s than fits in a commit: no more is read of it", _listed(came))
        self._crowded = crowded
        if not self._all:
            self._source.pause(_names(came))
            self._source.resume(_names(went))
        self._measure()

    def _measure(self) -> None:
        self._metrics.paused.set(len({*self._all, *self._crowded}))


def _names(assignments: Iterable[Assignment]) -> list[tuple[str, int]]:
    return [(one.topic, one.partition) for one in assignments]


def _listed(assignments: Iterable[Assignment]) -> str:
    return ", ".join(f"{topic}/{number}" for topic, number in sorted(_names(assignments)))
