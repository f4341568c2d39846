"""What one saturated replica handles in a second, as far as it can be told.

Only a window teaches in which every replica was behind all through, by more than commits and looks explain, with as
many replicas all the time, and without failures: else some were idle, and each would look slower the more there are.
"""

from __future__ import annotations

from datetime import datetime

from headrace_operator.scaling.terms import Limits, Measured, Memory

SETTLE = 45.0
"""Seconds after a change of replicas before a window of half a minute lies behind the rebalance."""

REMEMBERED = 86_400.0
"""Seconds after which what was never measured again is forgotten: the handler may have been slow that day."""

SLOWEST = 0.001
"""Records per second below which nothing is learned: a capacity next to nothing asks for replicas without end."""

GAIN = 0.2
"""The share of what more replicas should have handled below which they were no help."""

DOUBT = 900.0
"""Seconds after a rise in which it is judged by what it brought."""


def learned(measured: Measured, memory: Memory, limits: Limits, now: datetime) -> tuple[float | None, datetime | None]:
    """Return the records per second of a saturated replica, and when that was measured.

    It is what the window tells where it teaches, else what is known. While the backlog shrinks some replicas may have
    run out of work, so that the window tells a lower bound.
    """
    known = known_capacity(memory, now)
    sample = _sample(measured, memory, now)
    teaches = sample is not None and is_saturated(measured, limits)
    if sample is None or not teaches or brought_nothing(measured, memory, limits, now):
        return known, None if known is None else memory.measured_at
    return (sample if known is None or not measured.is_shrinking else max(known, sample)), now


def known_capacity(memory: Memory, now: datetime) -> float | None:
    """Return the remembered capacity: not one that was rounded to nothing, nor one of which nobody knows since when."""
    if memory.capacity is None or memory.measured_at is None or memory.capacity < SLOWEST:
        return None
    return memory.capacity if abs(now - memory.measured_at).total_seconds() <= REMEMBERED else None


def is_saturated(measured: Measured, limits: Limits) -> bool:
    """Tell whether each replica had more to do than it could all through the window.

    It had, where fewer partitions were idle than each replica has. One partition alone may be one key, which tells
    nothing of a replica, unless there are no others.
    """
    late = measured.oldest > limits.target_seconds
    enough = measured.ready if late else measured.ready * limits.hands + 1
    active, behind = measured.active, measured.behind
    idle = len(active - behind)
    several = len(behind) > 1 or limits.partitions == 1
    return measured.waiting >= enough and several and idle < max(1, min(len(active) // measured.ready, len(active) / 2))


def brought_nothing(measured: Measured, memory: Memory, limits: Limits, now: datetime) -> bool:
    """Tell whether the last rise was no help, though every replica is saturated: something else limits them."""
    known, sample = known_capacity(memory, now), _sample(measured, memory, now)
    if known is None or sample is None or memory.previous is None or not memory.rose or memory.seconds(now) > DOUBT:
        return False
    more = measured.ready - memory.previous
    return is_saturated(measured, limits) and sample * measured.ready < known * (memory.previous + GAIN * more)


def _sample(measured: Measured, memory: Memory, now: datetime) -> float | None:
    settled = measured.rates.steady_seconds >= SETTLE and memory.seconds(now) >= SETTLE
    complete = measured.ready >= 1 and memory.desired in {None, measured.ready}
    if not settled or not complete or measured.rates.failed or measured.rates.handled is None:
        return None
    sample = measured.rates.handled / measured.ready
    return sample if sample >= SLOWEST else None
