"""Partitions that stand behind a dead letter: which, and how the Consumer goes on."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan.conditions import Finding, false, true
from headrace_operator.plan.reasons import Reason

CONDITION = "PartitionsProceed"

NAMED = 3
"""Partitions that a message names."""


def findings(resource: Resource, spec: ConsumerSpec | None, backlog: BacklogSeen | Unknown) -> list[Finding]:
    """Say whether a partition stands, of a Consumer that wants it to; nothing while it is not known.

    With `ParkKey` one stands where no key of it can wait alone: it is said if there is one.
    """
    if spec is None or action(spec) == "Skip" or isinstance(backlog, Unknown):
        return []
    standing = [part for part in backlog.partitions if part.stopped]
    if not standing and action(spec) == "ParkKey":
        return []
    if not standing:
        return [true(CONDITION, Reason.PARTITIONS_PROCEED, "No partition stands behind a dead letter.")]
    return [false(CONDITION, Reason.DEAD_LETTER_STOPS, _told(resource, action(spec), standing))]


def action(spec: ConsumerSpec) -> str:
    """Return what becomes of records after a dead letter."""
    wish = spec.delivery and spec.delivery.on_dead_letter
    return (wish.action if wish else None) or "Skip"


def _told(resource: Resource, wish: str, standing: Sequence[PartitionSeen]) -> str:
    named = [
        f"{part.topic}/{part.partition} behind {part.stopped.letter}, the record at offset {part.stopped.offset}"
        for part in standing[:NAMED]
        if part.stopped
    ]
    more = [f"and {len(standing) - NAMED} more"] if len(standing) > NAMED else []
    letter = standing[0].stopped.letter if standing[0].stopped else ""
    name, place = resource.name, f"-n {resource.namespace}"
    return (
        f"Partitions stand behind a dead letter (spec.delivery.onDeadLetter.action: {wish}): "
        f"{'; '.join((*named, *more))}. See why: headrace dlq show {name} {letter} {place}. To go on, put it back: "
        f"headrace redrive {name} --offset {letter} {place}; or discard it (docs/by-hand.md)."
    )
