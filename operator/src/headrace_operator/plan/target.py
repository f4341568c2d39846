"""Whether what a Consumer calls takes its records, from what its pods tell."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_operator.observed.kafka import BacklogSeen, PodLoad
from headrace_operator.observed.value import Unknown
from headrace_operator.plan.conditions import Finding, false, timestamp, true, unknown
from headrace_operator.plan.reasons import Reason

NAMED = 3
"""Pods that a message names."""


def healthy(backlog: BacklogSeen | Unknown) -> Finding:
    """Say whether the target takes records; a pod that has none to give says nothing of it."""
    if isinstance(backlog, Unknown):
        return unknown("TargetHealthy", Reason.KAFKA_UNREACHABLE, backlog.reason)
    failing = [load for load in backlog.loads if load.failed_since and not load.idle]
    if failing:
        return false("TargetHealthy", Reason.TARGET_FAILS, _told(failing, len(backlog.loads)))
    if all(load.failed_since for load in backlog.loads):
        text = "No pod that has records to handle has told how its target is."
        return unknown("TargetHealthy", Reason.TARGET_UNKNOWN, text)
    return true("TargetHealthy", Reason.TARGET_ANSWERS, "No pod finds that its target fails.")


def _told(failing: Sequence[PodLoad], pods: int) -> str:
    first = min(load.failed_since for load in failing if load.failed_since)
    named = [f"{load.pod}{f' ({load.cause})' if load.cause else ''}" for load in failing[:NAMED]]
    more = [f"{len(failing) - NAMED} more"] if len(failing) > NAMED else []
    return (
        f"What the handler calls fails for {len(failing)} of {pods} pods, since {timestamp(first)} at the earliest: "
        f"records wait, no attempt counts, and none is dead-lettered for it. {', '.join((*named, *more))}."
    )
