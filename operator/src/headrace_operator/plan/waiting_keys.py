"""Keys that wait behind dead letters of theirs: how many, and how they go on."""

from __future__ import annotations

from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import stops
from headrace_operator.plan.conditions import Finding, false, true
from headrace_operator.plan.reasons import Reason

CONDITION = "KeysProceed"


def findings(resource: Resource, spec: ConsumerSpec | None, backlog: BacklogSeen | Unknown) -> list[Finding]:
    """Say whether keys wait, of a Consumer that wants them to; nothing while it is not known."""
    if spec is None or stops.action(spec) != "ParkKey" or isinstance(backlog, Unknown):
        return []
    waiting = {f"{part.topic}/{part.partition}": part.waiting_keys for part in backlog.partitions if part.waiting_keys}
    if not waiting:
        return [true(CONDITION, Reason.KEYS_PROCEED, "No key waits behind a dead letter.")]
    return [false(CONDITION, Reason.DEAD_LETTER_PARKS_KEYS, _told(resource, waiting))]


def _told(resource: Resource, waiting: dict[str, int]) -> str:
    name, place = resource.name, f"-n {resource.namespace}"
    return (
        f"{sum(waiting.values())} keys wait behind a dead letter (spec.delivery.onDeadLetter.action: ParkKey), in "
        f"{', '.join(waiting)}; what comes of them follows it. See which: headrace dlq list {name} {place}. Those "
        f"whose reason is not key-parked have failed. To go on, put them back: headrace redrive {name} {place}; or "
        "discard them (docs/by-hand.md). What waits goes back by itself."
    )
