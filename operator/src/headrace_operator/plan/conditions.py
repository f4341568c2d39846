"""Conditions: what is said of a resource, with `Ready` derived and `Reconciling`/`Stalled` present only while true.

Follows Kubernetes' API conventions and kstatus. Decides nothing about the world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from headrace.discreet import discreet
from headrace_operator.plan.actions import Note
from headrace_operator.plan.reasons import Reason

Truth = Literal["True", "False", "Unknown"]
LONGEST_MESSAGE = 1000
FINAL = frozenset({Reason.RESTARTS_EXHAUSTED, Reason.RESTART_IN_VAIN})
"""Reasons that nothing but an edit ends, so that waiting longer is in vain."""

IDLE = frozenset({Reason.PAUSED, Reason.STOPPED})
"""Reasons for which what is ready does nothing, as was wanted: `Ready` tells of them."""

UNDER_WAY = IDLE | {Reason.OTHER_SNAPSHOT, Reason.SNAPSHOT_REQUESTED, Reason.SNAPSHOT_RUNNING}
"""Reasons for which something is not done yet and nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One condition before it is dated."""

    type: str
    status: Truth
    reason: Reason
    message: str


def true(kind: str, reason: Reason, message: str) -> Finding:
    """Say that `kind` holds."""
    return Finding(type=kind, status="True", reason=reason, message=message)


def false(kind: str, reason: Reason, message: str) -> Finding:
    """Say that `kind` does not hold, why, and what to do."""
    return Finding(type=kind, status="False", reason=reason, message=message)


def unknown(kind: str, reason: Reason, message: str) -> Finding:
    """Say that nobody knows whether `kind` holds."""
    return Finding(type=kind, status="Unknown", reason=reason, message=message)


def with_ready(findings: Sequence[Finding], needed: frozenset[str], stalled: Finding | None = None) -> list[Finding]:
    """Derive `Ready` from the conditions it needs: the first that is not true speaks for it."""
    wrong = [finding for finding in findings if finding.type in needed and finding.status != "True"]
    if not wrong:
        return [_well(findings), *findings]
    first = wrong[0]
    ready = Finding(type="Ready", status="False", reason=first.reason, message=first.message)
    if stalled is None and first.reason in FINAL:
        stalled = true("Stalled", first.reason, first.message)
    if stalled is not None:
        return [ready, *findings, stalled]
    return [ready, *findings, true("Reconciling", first.reason, first.message)]


def _well(findings: Sequence[Finding]) -> Finding:
    idle = next((finding for finding in findings if finding.reason in IDLE), None)
    if idle is not None:
        return true("Ready", idle.reason, idle.message)
    return true("Ready", Reason.READY, "The accepted spec is in force and running.")


def dated(
    findings: Sequence[Finding], previous: Sequence[Mapping[str, Any]], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return conditions as JSON; the time of the last transition is kept while the status is the same."""
    before = {str(condition.get("type")): condition for condition in previous}
    return [_dated(finding, before.get(finding.type), generation, now) for finding in findings]


def _dated(finding: Finding, before: Mapping[str, Any] | None, generation: int, now: datetime) -> dict[str, Any]:
    same = before is not None and before.get("status") == finding.status and before.get("lastTransitionTime")
    return {
        "type": finding.type,
        "status": finding.status,
        "reason": str(finding.reason),
        "message": discreet(finding.message)[:LONGEST_MESSAGE],
        "lastTransitionTime": before["lastTransitionTime"] if same and before is not None else timestamp(now),
        "observedGeneration": generation,
    }


def timestamp(when: datetime) -> str:
    """Return `when` (UTC) as Kubernetes writes times."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str | None) -> datetime | None:
    """Read a time that Kubernetes or `timestamp` wrote."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def notes(previous: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Return an Event for each condition whose status or reason changed; figures and messages make none."""
    before = {condition.get("type"): (condition.get("status"), condition.get("reason")) for condition in previous}
    return tuple(
        Note(
            type="Warning" if _is_bad(condition) else "Normal",
            reason=condition["reason"],
            message=f"{condition['type']}={condition['status']}: {condition['message']}",
        )
        for condition in current
        if condition["type"] not in ("Ready", "Reconciling")
        and before.get(condition["type"]) != (condition["status"], condition["reason"])
    )


def _is_bad(condition: Mapping[str, Any]) -> bool:
    if condition["reason"] in UNDER_WAY:
        return False
    return bool(condition["status"] == "False") != bool(condition["type"] == "Stalled")
