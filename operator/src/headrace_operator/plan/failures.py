"""What is said of a resource while an action of its plan fails: the actions run after the status was recorded.

A failure is shown for as long as there is, or may be, something to do. The same failure again changes nothing, so that
it makes neither a write nor an Event; one that a status shows outlives the operator that saw it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headrace_operator.observed.kube import Resource
from headrace_operator.plan.actions import Note, Plan
from headrace_operator.plan.conditions import LONGEST_MESSAGE, dated, true
from headrace_operator.plan.reasons import Reason

UNMENDED = frozenset({"TargetHealthy", "SourceReady", "SlotHealthy", "Streaming", "Publishing"})
"""Conditions that no action changes: that nobody knows says nothing of what is to be done."""


def recorded(resource: Resource) -> str | None:
    """Return the sentence of the failure that the status shows."""
    conditions = resource.status.get("conditions") or ()
    return next((str(one.get("message")) for one in conditions if one.get("reason") == Reason.ACTION_FAILED), None)


def standing(plan: Plan, sentence: str | None) -> str | None:
    """Return ``sentence`` unless it is over: nothing is to be done, and nothing that would have to be is unknown."""
    unknown = any(one["status"] == "Unknown" and one["type"] not in UNMENDED for one in plan.status["conditions"])
    return sentence if plan.actions or unknown else None


def shown(plan: Plan, resource: Resource, sentence: str | None, now: datetime) -> Plan:
    """Return ``plan`` with its conditions telling that the last try to act ended with ``sentence``, if it did.

    `Ready` is left alone while it is true: what the accepted spec asks for is in force, or does not count for it.
    """
    if sentence is None:
        return plan
    told = {"reason": str(Reason.ACTION_FAILED), "message": sentence[:LONGEST_MESSAGE]}
    conditions = [{**one, **told} if _is_to_tell(one) else one for one in plan.status["conditions"]]
    if not {"Reconciling", "Stalled"} & {one["type"] for one in conditions}:
        reconciling = true("Reconciling", Reason.ACTION_FAILED, sentence)
        conditions += dated([reconciling], resource.status.get("conditions") or [], resource.generation, now)
    notes = plan.notes
    if recorded(resource) is None:
        notes = (*notes, Note(type="Warning", reason=Reason.ACTION_FAILED, message=sentence))
    return dataclasses.replace(plan, status={**plan.status, "conditions": conditions}, notes=notes)


def _is_to_tell(condition: Mapping[str, Any]) -> bool:
    return condition["type"] == "Reconciling" or (condition["type"], condition["status"]) == ("Ready", "False")
