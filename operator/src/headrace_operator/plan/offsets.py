"""Committed offsets that no longer exist: which, what there is instead, and how the Consumer goes on."""

from __future__ import annotations

from collections.abc import Sequence

from headrace import config as contract
from headrace_operator.api.consumer import ConsumerSpec
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan.conditions import Finding, false, true
from headrace_operator.plan.reasons import Reason

NAMED = 3
"""Partitions that a message names."""


def findings(resource: Resource, spec: ConsumerSpec | None, backlog: BacklogSeen | Unknown) -> list[Finding]:
    """Say whether every committed offset exists; nothing while it is not known."""
    if spec is None or isinstance(backlog, Unknown):
        return []
    lost = [part for part in backlog.partitions if part.lost]
    if not lost:
        return [true("OffsetsExist", Reason.OFFSETS_EXIST, "Every committed offset exists.")]
    wish = (spec.delivery and spec.delivery.on_offset_lost) or contract.Delivery().on_offset_lost
    return [false("OffsetsExist", Reason.OFFSET_LOST, f"{_outlook(resource, wish)} {_listed(lost)}")]


def _outlook(resource: Resource, wish: contract.OnOffsetLost) -> str:
    if wish != "Stop":
        return f"Committed offsets no longer exist: the pods go on elsewhere (spec.delivery.onOffsetLost: {wish})."
    edit = """'{"spec":{"delivery":{"onOffsetLost":"Earliest"}}}'"""
    return (
        "Committed offsets no longer exist, and their partitions stand (spec.delivery.onOffsetLost: Stop). To go on at "
        f"the oldest record there is: kubectl -n {resource.namespace} patch hrc {resource.name} --type merge -p {edit} "
        "(Latest: behind the newest)."
    )


def _listed(lost: Sequence[PartitionSeen]) -> str:
    told = [
        f"{part.topic}/{part.partition}: {part.committed} is committed, the log has {part.start} to {part.end}"
        for part in lost[:NAMED]
    ]
    return "; ".join((*told, *([f"and {len(lost) - NAMED} more"] if len(lost) > NAMED else []))) + "."
