"""What a decision about replicas rests on, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace_operator.observed.kafka import Rates

EXPLAINED = 6.0
"""Seconds of age that say nothing: one commit interval (1 s) and one look (5 s) pass before a record is seen done."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the user and the topic allow; `target_seconds` is the longest time a record should wait.

    A replica handles as many records at the same time as it has `hands`.
    """

    min: int
    max: int
    partitions: int
    target_seconds: float
    hands: int = 1

    @property
    def ceiling(self) -> int:
        """The most replicas that can have work."""
        return max(self.min, min(self.max, max(1, self.partitions)))

    def clamp(self, replicas: int) -> int:
        """Return the allowed number that is nearest."""
        return max(self.min, min(replicas, self.ceiling))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the last seconds told, and how many replicas are ready."""

    rates: Rates
    ready: int

    @property
    def is_known(self) -> bool:
        """Whether anything may follow from it."""
        return self.rates.arrivals is not None and self.rates.handled is not None

    @property
    def active(self) -> frozenset[int]:
        """The numbers of the partitions that had something to do."""
        active = (load for load in self.rates.loads if load.arrivals or load.waiting or load.waited_before)
        return frozenset(load.number for load in active)

    @property
    def behind(self) -> frozenset[int]:
        """The numbers of those that were behind all through, by more than commits and looks explain."""
        return frozenset(load.number for load in self.rates.loads if load.behind > EXPLAINED)

    @property
    def waiting(self) -> int:
        """Records that could be handled now."""
        return sum(load.waiting for load in self.rates.loads if not load.failing)

    @property
    def oldest(self) -> float:
        """Seconds that the oldest of them waits."""
        return max((load.oldest for load in self.rates.loads if load.waiting and not load.failing), default=0.0)

    @property
    def is_shrinking(self) -> bool:
        """Whether fewer records wait than at the beginning."""
        return self.waiting < sum(load.waited_before for load in self.rates.loads if not load.failing)

    @property
    def seconds_left(self) -> float:
        """Seconds that what waits lasts at the present pace."""
        pace = (self.rates.handled or 0.0) - (self.rates.arrivals or 0.0)
        return self.waiting / pace if pace > 0 else float("inf")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What was decided before.

    `desired` replicas since `since`, `previous` before that; the records per second of a saturated replica and when
    that was last measured; and since when fewer replicas would do.
    """

    desired: int | None = None
    previous: int | None = None
    since: datetime | None = None
    capacity: float | None = None
    measured_at: datetime | None = None
    fewer_since: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """Return how long ago the number of replicas was changed, or how far ahead by a clock that was set back."""
        return float("inf") if self.since is None else abs(now - self.since).total_seconds()

    @property
    def rose(self) -> bool:
        """Whether the last change was to more replicas."""
        return self.previous is not None and self.desired is not None and self.previous < self.desired


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Replicas to run, why, and every term."""

    desired: int
    reason: str
    message: str
    capacity: float | None
    measured_at: datetime | None = None
    fewer_since: datetime | None = None
