"""Which partitions hold their share of what may be unfinished, so that others are read and they are not.

Kafka gives one partition's records after another's, so that those of a few may be all that fits while other partitions
have keys that could be handled. While every key at hand is being handled, those are read that hold little; while there
are even too few keys, those that hold far less than others, or else all. Pure: no Kafka, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from headrace.flow.budget import HIGH, LOW_BYTES
from headrace.flow.ledger import Assignment

ENOUGH = HIGH // 4
"""Records of a partition that keep its keys at work while it is read on: less than what has a single key parked."""

FEW = 4
"""Keys of a partition from which on others go before it: of fewer, one may be all it holds, and is to be parked."""


class Held(NamedTuple):
    """What is unfinished of a partition: records of so many ``keys``, ``size`` bytes; ``ended``: it has no more."""

    records: int
    size: int
    keys: int
    ended: bool


class Shares:
    """Which partitions hold their share; one goes on at half of it, as a pause throws away what was fetched ahead."""

    def __init__(self) -> None:
        self._laden: frozenset[Assignment] = frozenset()

    def laden(self, held: Mapping[Assignment, Held], *, lacks_keys: bool) -> frozenset[Assignment]:
        """Return the partitions that are not to be read, of what is held of each now."""
        read = {one: holds for one, holds in held.items() if not holds.ended}
        self._laden = frozenset(_richer(read) if lacks_keys else self._sated(read))
        return self._laden

    def _sated(self, read: Mapping[Assignment, Held]) -> list[Assignment]:
        share = LOW_BYTES / max(1, len(read))
        filled = {one: max(holds.records / ENOUGH, holds.size / share) for one, holds in read.items()}
        return [one for one, part in filled.items() if part >= (0.5 if one in self._laden else 1)]


def _richer(read: Mapping[Assignment, Held]) -> list[Assignment]:
    """Return which hold at least half of what all do on average, where some do not."""
    even = sum(holds.size for holds in read.values()) / max(1, len(read))
    rich = [one for one, holds in read.items() if holds.size >= even / 2]
    return [one for one in rich if read[one].keys >= FEW] if len(rich) < len(read) else []
