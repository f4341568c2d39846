"""How many replicas: from measured rates, not from a lag threshold.

Required throughput is arrivals over utilisation plus what waits too long over the target time, divided by the measured
rate of a saturated replica; a partition asks for no more than one. Missing data and failures change nothing. It rises
by no more than a doubling a minute, and falls by halves once fewer would have done for a while.
"""

from __future__ import annotations

import math
from datetime import datetime

from headrace_operator.observed.kafka import Load
from headrace_operator.scaling.capacity import SETTLE, brought_nothing, learned
from headrace_operator.scaling.terms import EXPLAINED, Decision, Limits, Measured, Memory

UTILISATION = 0.8
MARGIN = 1.25

RISE_EVERY = 60.0
"""Seconds between two rises."""

START = 180.0
"""Seconds that pods have to become ready before more are asked for all the same."""

CALM = 60.0
"""Seconds for which fewer replicas must do before some are taken away."""

FALL_EVERY = 30.0
"""Seconds between a change and a fall."""


def decide(measured: Measured, memory: Memory, limits: Limits, now: datetime) -> Decision:
    """Return how many replicas should run."""
    current = limits.clamp(memory.desired or limits.min)
    if not measured.is_known:
        text = f"Rates are not known; keeping {current}."
        known, at = memory.capacity, memory.measured_at
        return Decision(desired=current, reason="MissingData", message=text, capacity=known, measured_at=at)
    capacity, measured_at = learned(measured, memory, limits, now)
    wanted = _wanted(current, measured, limits, capacity)
    if wanted > current:
        desired, reason = _raised(current, wanted, measured, memory, limits, now)
        fewer_since = None
    else:
        fewer = _fewer(current, measured, limits, capacity)
        fewer_since = (memory.fewer_since or now) if fewer < current else None
        desired, reason = _lowered(current, fewer, fewer_since, memory, now)
    if reason == "Steady" and capacity is None:
        reason = "Learning"
    message = _sentence(reason, current, desired, measured, capacity)
    if desired == limits.ceiling and is_behind(measured, limits, capacity):
        message += _bound(limits)
    return Decision(
        desired=desired,
        reason=reason,
        message=message,
        capacity=capacity,
        measured_at=measured_at,
        fewer_since=fewer_since,
    )


def required(measured: Measured, limits: Limits, capacity: float, margin: float = 1.0) -> int:
    """Return the replicas whose throughput is required; what one partition can use is one replica."""
    needed = sum(min(capacity, _needed(load, limits) * margin) for load in measured.rates.loads)
    return limits.clamp(math.ceil(needed / capacity - 1e-9))


def _needed(load: Load, limits: Limits) -> float:
    """Return records per second: what arrives, and what waits beyond half of the target, within the target."""
    free = load.arrivals * max(EXPLAINED, limits.target_seconds / 2)
    late = 0.0 if load.failing else max(0.0, load.waiting - free)
    return load.arrivals / UTILISATION + late / limits.target_seconds


def _wanted(current: int, measured: Measured, limits: Limits, capacity: float | None) -> int:
    wanted = current if capacity is None else required(measured, limits, capacity)
    if measured.rates.steady_seconds < SETTLE or not is_behind(measured, limits, capacity):
        return wanted
    useful = sum(1 for load in measured.rates.loads if load.waiting and not load.failing)
    return max(wanted, limits.clamp(min(2 * current, useful)))


def is_behind(measured: Measured, limits: Limits, capacity: float | None) -> bool:
    """Tell whether records come too late, or soon will, that more hands could take, whatever a replica can do."""
    if measured.is_shrinking and (capacity is not None or measured.seconds_left <= limits.target_seconds):
        return False
    late = measured.oldest > limits.target_seconds and measured.waiting >= measured.ready
    soon = measured.oldest > max(EXPLAINED, limits.target_seconds / 2)
    return late or (soon and measured.waiting > measured.ready * limits.hands)


def _raised(
    current: int, wanted: int, measured: Measured, memory: Memory, limits: Limits, now: datetime
) -> tuple[int, str]:
    if measured.rates.failing:
        return current, "Failing"
    if brought_nothing(measured, memory, limits, now):
        return current, "NoGain"
    waited = memory.seconds(now)
    if (memory.rose and waited < RISE_EVERY) or (measured.ready < current and waited < START):
        return current, "Settling"
    return min(wanted, 2 * current), "ScaleUp"


def _fewer(current: int, measured: Measured, limits: Limits, capacity: float | None) -> int:
    """Return how many would do with margin; where no capacity is known, half of them are tried while hands are idle."""
    if not any(load.arrivals or load.waiting for load in measured.rates.loads):
        return limits.min
    if is_behind(measured, limits, capacity) or (capacity is None and measured.rates.failing):
        return current
    if capacity is not None:
        return min(current, required(measured, limits, capacity, MARGIN))
    idle = measured.oldest <= EXPLAINED or 2 * measured.waiting <= measured.ready * limits.hands
    return limits.clamp(math.ceil(current / 2)) if idle else current


def _lowered(current: int, fewer: int, fewer_since: datetime | None, memory: Memory, now: datetime) -> tuple[int, str]:
    if fewer_since is None:
        return current, "Steady"
    if abs(now - fewer_since).total_seconds() < CALM or memory.seconds(now) < FALL_EVERY:
        return current, "Settling"
    return max(fewer, math.ceil(current / 2)), "ScaleDown"


def _bound(limits: Limits) -> str:
    """Say why there are no more, though records are late."""
    if limits.partitions < limits.max:
        return f" More than {limits.ceiling} would have nothing to read: no topic has more partitions."
    return f" More than {limits.ceiling} are not allowed by scale.max."


def _sentence(reason: str, current: int, desired: int, measured: Measured, capacity: float | None) -> str:
    rates = measured.rates
    told = f"{rates.arrivals:.0f}/s arrive, {rates.handled:.0f}/s are handled, {measured.waiting} wait"
    if capacity is not None:
        told += f", {capacity:.0f}/s per replica" if capacity >= 10 else f", {capacity:.2g}/s per replica"
    match reason:
        case "Failing":
            return f"Records fail, which more replicas do not help; keeping {current} ({told})."
        case "NoGain":
            return f"The last rise brought nothing, something else limits; keeping {current} ({told})."
        case "Learning":
            return f"No replica was saturated yet; keeping {current} ({told})."
        case _:
            return f"{current} to {desired} replicas: {told}."
