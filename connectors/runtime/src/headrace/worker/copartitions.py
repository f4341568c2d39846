"""Lets source partitions wait until the retry partition of their number is here, too (`headrace.flow.copartitions`).

And says what begins anew where those of a number do not come, or go, together.

The poll thread alone owns it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from headrace.flow.copartitions import apart, beside, waiting
from headrace.flow.ledger import Assignment
from headrace.flow.partitions import Partition, listed
from headrace.kafka.consumer import Source
from headrace.worker.pauses import Pauses

log = logging.getLogger(__name__)


class Copartitions:
    """What of all that is assigned waits, and what has no retry partition here and does not."""

    def __init__(self, source: Source, pauses: Pauses, retry: str) -> None:
        self._source = source
        self._pauses = pauses
        self._retry = retry
        self._is_due = False
        self._anew: set[Partition] = set()
        self._told: tuple[frozenset[Partition], frozenset[Partition]] = (frozenset(), frozenset())

    def others(self, partitions: Collection[Partition], owned: Collection[Assignment]) -> list[Assignment]:
        """Return what else of everything ``owned`` begins anew as these partitions come or go, and is read again."""
        names = beside(partitions, (one.name for one in owned))
        self._anew |= names
        return [one for one in owned if one.name in names]

    def take_anew(self, owned: Collection[Assignment]) -> frozenset[Partition]:
        """Return, once, what began anew while it was read; what was read of it does not count."""
        if not self._anew:
            return frozenset()
        anew, self._anew = self._anew, set()
        return frozenset(one.name for one in owned if one.name in anew)

    def hold(self, owned: Collection[Assignment]) -> None:
        """Let all of everything ``owned`` wait that are apart, until it is judged.

        Inside the client's callbacks nothing may be asked: a second callback in the same read would end the process.
        """
        alone = apart((one.name for one in owned), self._retry)
        self._pauses.set_alone(frozenset(one for one in owned if one.name in alone))
        self._is_due = True

    def judge_anew(self, owned: Collection[Assignment]) -> None:
        """Judge what was held since the last time."""
        if self._is_due:
            self.judge(owned)

    def judge(self, owned: Collection[Assignment]) -> None:
        """Let those of everything ``owned`` wait that must, and read on where the retry partition has come."""
        self._is_due = False
        alone = apart((one.name for one in owned), self._retry)
        wait = waiting(alone, self._retry, self._source.counts()) if alone else frozenset()
        self._pauses.set_alone(frozenset(one for one in owned if one.name in wait))
        self._tell(wait, alone - wait)

    def _tell(self, wait: frozenset[Partition], beside: frozenset[Partition]) -> None:
        if wait - self._told[0]:
            log.warning("partitions are not read until their retry partition is here: %s", listed(wait))
        if beside - self._told[1]:
            log.warning("no retry partition comes here for these, what is put back is unordered: %s", listed(beside))
        self._told = wait, beside
