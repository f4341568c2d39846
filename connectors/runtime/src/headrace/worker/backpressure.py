"""Whether more is read: not while too much is unfinished. The poll thread alone owns it."""

from __future__ import annotations

import logging
from collections.abc import Container

from headrace.flow.budget import Budget
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.partitions import Partition
from headrace.flow.shares import Held, Shares
from headrace.worker.dispatch import Dispatcher
from headrace.worker.pauses import Pauses

log = logging.getLogger(__name__)

PAUSE_AFTER = 0.5
"""Seconds of a full buffer before partitions are paused: a pause throws away what was fetched ahead."""


class Backpressure:
    """What is unfinished in ``ledger``, beside what there may be; the retry topic's has a budget of its own."""

    def __init__(
        self, ledger: Ledger, pauses: Pauses, lost: Container[Partition], dispatcher: Dispatcher, retry_topic: str
    ) -> None:
        """Of partitions that are ``lost`` nothing comes."""
        self._ledger = ledger
        self._pauses = pauses
        self._lost = lost
        self._dispatcher = dispatcher
        self._retry_topic = retry_topic
        self._budget = Budget()
        self._shares = Shares()
        self._full_since: float | None = None

    def is_used_up(self) -> bool:
        """Whether as much is unfinished as there may be."""
        sources = [one for one in self._sources if not one.halted]
        return self._budget.is_used_up(sum(one.unfinished for one in sources), sum(one.size for one in sources))

    def is_full(self, now: float, handed: int, *, used_up: bool) -> bool:
        """Whether nothing more is to be read; ``handed`` records were given to the dispatcher so far."""
        if not used_up:
            self._pauses.set_laden(frozenset())
        if not used_up or self._may_go_beyond(handed):
            self._full_since = None
            return False
        self._full_since = self._full_since or now
        return True

    def hold_back(self, now: float) -> None:
        """Pause all partitions once that has lasted."""
        if not self._pauses.is_whole and now - (self._full_since or now) > PAUSE_AFTER:
            self._pauses.begin(self._ledger.owned)
            log.info(
                "reading pauses: %d records (%d MiB) are unfinished", self._ledger.unfinished, self._ledger.size >> 20
            )

    def _may_go_beyond(self, handed: int) -> bool:
        """Let partitions be read though all is used up, but those with their share, where more keys could be handled.

        Where it is used up by bytes, only those that hold little.
        """
        idle = self._dispatcher.idle(handed)
        if idle is None:
            return False
        lacks_keys = idle > 0 and not self._budget.is_heavy
        held = self._held()
        laden = self._shares.laden(held, lacks_keys=lacks_keys)
        self._pauses.set_laden(laden)
        return lacks_keys or len(laden) < len(held)

    def _held(self) -> dict[Assignment, Held]:
        keys, waiting = self._dispatcher.keys_at_hand(), self._pauses.waiting
        read = (one for one in self._sources if one not in waiting and one.name not in self._lost)
        return {one: Held(one.unfinished, one.size, keys[one.name], one.ended) for one in read}

    @property
    def _sources(self) -> list[Assignment]:
        return [one for one in self._ledger.owned if one.topic != self._retry_topic]
