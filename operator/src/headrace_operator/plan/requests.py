"""A pass that somebody asks for, by an annotation, and the word in the status that it was made. Pure."""

from __future__ import annotations

import dataclasses

from headrace_operator.observed.kube import Resource
from headrace_operator.plan.actions import Plan

HANDLED = "lastHandledRequest"


def is_new(resource: Resource) -> bool:
    """Tell whether a pass is asked for that was not made yet; whoever asks writes another word each time."""
    return resource.requested is not None and resource.requested != resource.status.get(HANDLED)


def acknowledged(plan: Plan, resource: Resource) -> Plan:
    """Return ``plan`` with the status saying which request this pass, or the last one that was asked for, answers."""
    handled = resource.status.get(HANDLED) if resource.requested is None else resource.requested
    return dataclasses.replace(plan, status={**plan.status, HANDLED: handled})
