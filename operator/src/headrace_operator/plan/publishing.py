"""Whether an OutboxRelay publishes, and what its table holds, from what its pods tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.outbox import Told
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import names
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.reasons import Reason

PUBLISHING, NONE_FAILED = "Publishing", "NoRowsFailed"

CAUSES = {"database": Reason.OUTBOX_UNREADABLE, "kafka": Reason.KAFKA_UNREACHABLE, "rows": Reason.ROWS_WAIT}
"""What may be in the way, the worst first; the pod has a sentence for it."""


def findings(resource: Resource, seen: Sequence[Told | Unknown]) -> list[Finding]:
    """Say whether rows are published, and whether some were given up; nothing while there is no pod to tell."""
    told = [one for one in seen if isinstance(one, Told)]
    if not told:
        silent = [one.reason for one in seen if isinstance(one, Unknown)]
        return [unknown(PUBLISHING, Reason.UNKNOWN, silent[0])] if silent else []
    return [_publishing(told), *_failed(resource, told)]


def figures(seen: Sequence[Told | Unknown]) -> dict[str, Any]:
    """Return what the table holds, as the pod tells it that counted most: each counts all of it, in its own time."""
    counted = [one for one in seen if isinstance(one, Told) and one.pending is not None]
    return {
        "backlog": max((one.pending or 0 for one in counted), default=None),
        "oldestPendingSeconds": max((round(one.oldest or 0) for one in counted), default=None),
        "failedRows": max((one.failed or 0 for one in counted), default=None),
    }


def _publishing(told: Sequence[Told]) -> Finding:
    for field, reason in CAUSES.items():
        if words := next((said for one in told if (said := getattr(one, field))), None):
            return false(PUBLISHING, reason, f"{words[:1].upper()}{words[1:].rstrip('.')}.")
    return true(PUBLISHING, Reason.PUBLISHING, "The table is read, and Kafka takes its rows.")


def _failed(resource: Resource, told: Sequence[Told]) -> list[Finding]:
    count = figures(told)["failedRows"]
    if count is None:
        return []
    if count == 0:
        return [true(NONE_FAILED, Reason.NONE_FAILED, "No row of the table is FAILED.")]
    at = f"kubectl -n {resource.namespace} exec deploy/{names.relay_child(resource.name)} -- headrace outbox"
    rows = "1 row is" if count == 1 else f"{count} rows are"
    text = f"{rows} FAILED and not tried again: {at} list says why, and {at} retry --all puts them back."
    return [false(NONE_FAILED, Reason.ROWS_FAILED, text)]
