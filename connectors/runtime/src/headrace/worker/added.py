"""Lets partitions that were added to a source wait for what is older of their keys (`headrace.flow.added`).

The poll thread alone owns it. Which are added is known from what the commits of the others tell: how many partitions
their topic had when the group began with them. So it is known to whoever has them, as is what others have handled,
wherever that runs. Kafka is asked by a thread of its own; until it has answered nothing is read that may be too early.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial

from headrace.config import Config
from headrace.flow.added import FRESH, Barrier
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.partitions import Partition, listed
from headrace.kafka.added import Seen, look
from headrace.kafka.read import Read
from headrace.kafka.topics import RefusedError, TopicMissingError, UnansweredError
from headrace.progress import First
from headrace.worker.looking import Looking
from headrace.worker.pauses import Pauses

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks, while partitions are fresh."""


class Added:
    """How far the partitions in ``ledger`` may be read that are fresh: those that may have been added."""

    def __init__(self, config: Config, ledger: Ledger, pauses: Pauses) -> None:
        self._config = config
        self._is_wanted = config.delivery.order == "Key"
        self._ledger = ledger
        self._pauses = pauses
        self._limits: dict[Partition, int] = {}
        self._barriers: dict[Partition, Barrier] = {}
        self._uncounted: set[Partition] = set()
        self._reached: set[Partition] = set()
        self._told: set[Partition] = set()
        self._asked: set[Partition] = set()
        self._looking: Looking[list[Seen]] = Looking("added", LOOK_EVERY)

    def begin(self, partitions: Collection[Partition]) -> None:
        """Begin with these partitions; those that may be fresh are read no further until that is known."""
        found = (self._ledger.find(*one) for one in partitions if one[0] in self._config.topics.sources)
        for assignment in found if self._is_wanted else ():
            if assignment is None:
                continue
            if _is_fresh(assignment, time.time()):
                self._limits[assignment.name] = assignment.position
            elif assignment.first is None:
                self._uncounted.add(assignment.name)
        self._hold()

    def forget(self, partitions: Collection[Partition]) -> None:
        """Forget partitions that are given away."""
        for one in partitions:
            self._free(one)
            self._uncounted.discard(one)
            self._asked.discard(one)

    def within(self, read: Read) -> tuple[Read, frozenset[Partition]]:
        """Return what was read as far as it may be, and the partitions of which more was, which is to be read again."""
        records = read.records if self._limits else ()
        beyond = frozenset(name for one in records if self._is_beyond(name := (one.topic, one.partition), one.offset))
        if not beyond:
            return read, beyond
        self._reached |= beyond
        kept = [one for one in records if not self._is_beyond((one.topic, one.partition), one.offset)]
        return Read(kept, [one for one in read.ends if one[0] not in beyond], read.lost), beyond

    def _is_beyond(self, name: Partition, offset: int) -> bool:
        return name in self._limits and offset >= self._limits[name]

    def serve(self, now: float) -> None:
        """Learn what was found, look when it is due, and hold back what must wait; called often."""
        self._take()
        if (self._limits or self._uncounted) and self._looking.is_due(now):
            self._asked = {*self._limits} | self._uncounted
            self._looking.begin(now, partial(self._look, frozenset(self._asked), dict(self._barriers)))
        self._hold()

    def _hold(self) -> None:
        fresh = (self._ledger.find(*one) for one in self._limits)
        self._pauses.set_added(frozenset(one for one in fresh if one is not None and self._waits(one)))

    def _waits(self, one: Assignment) -> bool:
        return one.position >= self._limits[one.name] or one.name in self._reached

    def _take(self) -> None:
        """Learn what was found of what was asked about; what came here since is asked about anew."""
        for seen in self._looking.take() or ():
            for one in self._ledger.owned:
                if one.topic == seen.topic and one.name in self._asked:
                    self._learn(one, seen)

    def _learn(self, one: Assignment, seen: Seen) -> None:
        self._uncounted.discard(one.name)
        one.first = one.first or First(seen.partitions, int(time.time()))
        if one.name not in self._limits:
            return
        found = seen.barriers.get(one.partition)
        if found is None:
            self._free(one.name)
        elif one.partition not in seen.passed:
            self._barriers[one.name] = found
            self._tell(one.name, seen.older[one.partition])
        elif found.began >= one.first.at + FRESH:
            self._free(one.name)
        else:
            self._limits[one.name] = found.upto
            self._barriers.pop(one.name, None)
            self._reached.discard(one.name)

    def _tell(self, name: Partition, older: Collection[int]) -> None:
        if name not in self._told:
            self._told.add(name)
            before = listed((name[0], number) for number in older)
            log.warning(
                "%s/%d was added: it is read as far as what is older of its keys is handled in %s", *name, before
            )

    def _free(self, name: Partition) -> None:
        self._limits.pop(name, None)
        self._barriers.pop(name, None)
        self._reached.discard(name)
        self._told.discard(name)

    def _look(self, partitions: Collection[Partition], barriers: Mapping[Partition, Barrier]) -> list[Seen]:
        """Return what Kafka has of these partitions, nothing where it does not tell; in its own thread."""
        try:
            return look(self._config, partitions, barriers, time.time())
        except (RefusedError, UnansweredError, TopicMissingError, OSError) as error:
            log.warning("not read, as it is not known what was added to sources: %s: %s", listed(partitions), error)
            return []


def _is_fresh(one: Assignment, now: float) -> bool:
    """Whether a partition may have been added so shortly ago that its producers do not know of it."""
    return one.committed is None if one.first is None else now < one.first.at + FRESH
