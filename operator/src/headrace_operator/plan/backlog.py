"""What a Consumer's backlog means: figures for the status, and the number of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan.conditions import Finding, false, instant, timestamp, true, unknown
from headrace_operator.plan.consumption import concurrency
from headrace_operator.plan.reasons import Reason
from headrace_operator.scaling.decide import decide
from headrace_operator.scaling.terms import Decision, Limits, Measured, Memory

MOST_PARTITIONS = 20
DEFAULT_MIN, DEFAULT_MAX, DEFAULT_TARGET = 1, 10, 60


def limits(spec: ConsumerSpec, partitions: int | None) -> Limits:
    """Return what the user and the topics allow, with the defaults filled in; unknown ``partitions`` limit nothing."""
    scale = spec.scale
    least = (scale and scale.min) or DEFAULT_MIN
    most = max(least, (scale and scale.max) or DEFAULT_MAX)
    return Limits(
        min=least,
        max=most,
        partitions=most if partitions is None else partitions,
        target_seconds=float((scale and scale.target_lag_seconds) or DEFAULT_TARGET),
        hands=concurrency(spec),
    )


def replicas(world: ConsumerWorld, allowed: Limits, ready: int, now: datetime) -> Decision:
    """Decide how many replicas run, from what was measured and what was decided before."""
    before = world.resource.status.get("scaling") or {}
    memory = Memory(
        desired=before.get("desired"),
        previous=before.get("previous"),
        since=instant(before.get("time")),
        capacity=before.get("capacityPerReplica"),
        measured_at=instant(before.get("capacityTime")),
        fewer_since=instant(before.get("fewerSince")),
    )
    return decide(Measured(rates=world.rates, ready=ready), memory, allowed, now)


def scaling_status(decision: Decision, world: ConsumerWorld, now: datetime) -> dict[str, Any]:
    """Return `status.scaling`; `time` is when the number last changed, so that nothing ticks.

    What the first of several looks cannot tell is no news: until the next one the status stays.
    """
    before: dict[str, Any] = world.resource.status.get("scaling") or {}
    same = before.get("desired") == decision.desired and before.get("time")
    if same and world.rates.first:
        return before
    facts = {
        "previous": before.get("previous" if same else "desired"),
        "fewerSince": decision.fewer_since and timestamp(decision.fewer_since),
        "capacityTime": decision.measured_at and timestamp(decision.measured_at),
    }
    figures = {
        "arrivalsPerSecond": world.rates.arrivals,
        "handledPerSecond": world.rates.handled,
        "capacityPerReplica": decision.capacity,
    }
    return {
        "desired": decision.desired,
        "reason": decision.reason,
        "message": decision.message,
        "time": before["time"] if same else timestamp(now),
        **{name: fact for name, fact in facts.items() if fact is not None},
        **{name: round(figure, 3) for name, figure in figures.items() if figure is not None},
    }


def lag_status(backlog: BacklogSeen, retry_topic: str) -> dict[str, Any]:
    """Return `status.lag`: source and retry topics apart and together, and the partitions that lag most."""
    behind = sorted((part for part in backlog.partitions if part.lag), key=lambda part: -part.lag)
    total = _told(backlog.partitions)
    counts = {
        "records": total,
        "sourceRecords": _told([part for part in backlog.partitions if part.topic != retry_topic]),
        "retryRecords": _told([part for part in backlog.partitions if part.topic == retry_topic]),
    }
    seconds = [part.lag_seconds for part in behind if part.lag_seconds is not None]
    return {
        **{name: count for name, count in counts.items() if count is not None},
        **({"seconds": round(max(seconds))} if seconds else ({"seconds": 0} if total == 0 else {})),
        "partitions": [
            {
                "topic": part.topic,
                "partition": part.partition,
                "records": part.lag,
                **({} if part.lag_seconds is None else {"seconds": round(part.lag_seconds)}),
            }
            for part in behind[:MOST_PARTITIONS]
        ],
    }


def _told(parts: Sequence[PartitionSeen]) -> int | None:
    """Return how many records wait together; None for none where an offset is lost."""
    told = [part.told_lag for part in parts]
    count = sum(lag for lag in told if lag is not None)
    return None if count == 0 and None in told else count


def dead_letters_status(backlog: BacklogSeen) -> dict[str, Any]:
    """Return the figures of `status.deadLetters` that are known, and why some are not."""
    figures = {
        "total": backlog.dead_letters_total,
        "outstanding": backlog.dead_letters_outstanding,
        "message": backlog.dead_letters_unknown,
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def within_target(world: ConsumerWorld, allowed: Limits) -> Finding:
    """Say whether the oldest record waits no longer than the user wants; readiness never depends on it."""
    if isinstance(world.backlog, Unknown):
        return unknown("WithinTarget", Reason.LAG_UNKNOWN, world.backlog.reason)
    seconds = [part.lag_seconds for part in world.backlog.partitions if part.lag and part.lag_seconds is not None]
    if any(part.lost for part in world.backlog.partitions) and max(seconds, default=0.0) <= allowed.target_seconds:
        text = "How long records wait is not known where the committed offset no longer exists."
        return unknown("WithinTarget", Reason.OFFSET_LOST, text)
    waits = [part for part in world.backlog.partitions if part.lag]
    if waits and not seconds:
        return unknown("WithinTarget", Reason.LAG_UNKNOWN, "Records wait; how long is not measured yet.")
    if max(seconds, default=0.0) > allowed.target_seconds:
        text = f"The oldest record waits longer than the target of {allowed.target_seconds:.0f} s."
        text = f"{text}{_blocked(world.backlog)}"
        return false("WithinTarget", Reason.ABOVE_TARGET, text)
    if any(part.lag_seconds is None or part.at_least for part in waits):
        text = "Records wait that were there before anybody looked: how long is not known yet."
        return unknown("WithinTarget", Reason.LAG_UNKNOWN, text)
    text = f"No record waits longer than the target of {allowed.target_seconds:.0f} s."
    return true("WithinTarget", Reason.WITHIN_TARGET, text)


def _blocked(backlog: BacklogSeen) -> str:
    """Say where records wait behind an open transaction, which nobody may read yet."""
    topics = sorted({part.topic for part in backlog.partitions if part.is_blocked})
    return (
        f" In {', '.join(topics)} records lie behind a transaction that its producer has not ended." if topics else ""
    )
