"""Commands that make good for dead letters: whether they may go where the spec says."""

from __future__ import annotations

from collections.abc import Collection

from headrace import names as kafka_names
from headrace_operator.api.consumer import Compensate, ConsumerSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.plan.conditions import Finding, false
from headrace_operator.plan.reasons import Reason


def wanted(spec: ConsumerSpec) -> Compensate | None:
    """Return where commands go; None is nowhere."""
    wish = spec.delivery.on_dead_letter if spec.delivery else None
    return wish.compensate if wish else None


def url(spec: ConsumerSpec) -> str | None:
    """Return the address of the web service that commands go to."""
    asked = wanted(spec)
    return asked.http.url if asked and asked.http else None


def loop(resource: Resource, spec: ConsumerSpec, sources: Collection[str]) -> Finding | None:
    """Say that commands would come back to the Consumer that sends them, which reads ``sources``."""
    asked = wanted(spec)
    at = (resource.place, resource.name)
    if asked is None or asked.topic not in {*sources, *kafka_names.own_topics(*at)}:
        return None
    text = (
        f"spec.delivery.onDeadLetter.compensate.topic is {asked.topic}, which this Consumer reads or writes itself: "
        "commands would come back to it. Name a topic of their own."
    )
    return false("Accepted", Reason.INVALID, text)
