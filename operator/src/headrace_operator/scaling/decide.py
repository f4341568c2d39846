"""How many replicas: from measured rates, not from a lag threshold.

Required throughput is arrivals over utilisation plus backlog over the target time, divided by the measured rate of a
saturated replica. Missing data never lowers replicas. A drop waits until things have settled and must fit with margin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

UTILISATION = 0.8
MARGIN = 1.25
SETTLE = timedelta(seconds=45)
SATURATED_BACKLOG_SECONDS = 1.0
SATURATED_BACKLOG_RECORDS = 100
SLOWEST = 0.001
"""Records per second below which nothing is learned: a capacity next to nothing asks for replicas without end."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the user and the topic allow; `target_seconds` is the longest time a record should wait."""

    min: int
    max: int
    partitions: int
    target_seconds: float

    @property
    def ceiling(self) -> int:
        """The most replicas that can have work."""
        return max(self.min, min(self.max, max(1, self.partitions)))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Records per second arriving and handled, records waiting, and ready replicas; None is not known."""

    arrivals: float | None
    handled: float | None
    backlog: int | None
    ready: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What was decided before: the replicas, since when, and the records per second of a saturated replica."""

    desired: int | None
    since: datetime | None
    capacity: float | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Replicas to run, why, and every term."""

    desired: int
    reason: str
    message: str
    capacity: float | None


def decide(measured: Measured, memory: Memory, limits: Limits, now: datetime) -> Decision:
    """Return how many replicas should run."""
    current = _clamp(memory.desired or limits.min, limits)
    if measured.arrivals is None or measured.handled is None or measured.backlog is None:
        return Decision(
            desired=current,
            reason="MissingData",
            capacity=memory.capacity,
            message=f"Rates are not known; keeping {current}.",
        )
    capacity = learned(measured, memory, now)
    if capacity is None:
        return Decision(
            desired=current,
            reason="Learning",
            capacity=None,
            message=f"No replica was saturated yet; keeping {current}.",
        )
    required = measured.arrivals / UTILISATION + measured.backlog / limits.target_seconds
    wanted = _clamp(math.ceil(required / capacity), limits)
    safe = _clamp(math.ceil(required * MARGIN / capacity), limits)
    desired, reason = _settled(current, wanted, safe, memory.since, now)
    message = (
        f"{current} to {desired} replicas: {required:.0f}/s required ({measured.arrivals:.0f}/s arrive, "
        f"{measured.backlog} records wait), {capacity:.0f}/s per replica."
    )
    return Decision(desired=desired, reason=reason, message=message, capacity=capacity)


def learned(measured: Measured, memory: Memory, now: datetime) -> float | None:
    """Return the records per second of a saturated replica: half old and half new while there is a backlog.

    Nothing is learned within `SETTLE` of a change: what was handled meanwhile is not the work of the replicas there are
    now, and to share it among them would ask for ever more of them.
    """
    known = memory.capacity if memory.capacity and memory.capacity >= SLOWEST else None
    if known is not None and memory.since is not None and now - memory.since < SETTLE:
        return known
    handled, backlog = measured.handled or 0.0, measured.backlog or 0
    enough = max(SATURATED_BACKLOG_RECORDS, handled * SATURATED_BACKLOG_SECONDS)
    sample = handled / max(1, measured.ready)
    if measured.ready < 1 or sample < SLOWEST or backlog < enough:
        return known
    return sample if known is None else (sample + known) / 2


def _settled(current: int, wanted: int, safe: int, since: datetime | None, now: datetime) -> tuple[int, str]:
    if wanted > current:
        return wanted, "ScaleUp"
    if safe >= current:
        return current, "Steady"
    if since is not None and now - since < SETTLE:
        return current, "Settling"
    return safe, "ScaleDown"


def _clamp(replicas: int, limits: Limits) -> int:
    return max(limits.min, min(replicas, limits.ceiling))
