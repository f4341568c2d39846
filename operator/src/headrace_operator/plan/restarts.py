"""Restarts of failed tasks: with exponential back-off, recorded before they are done, until a limit if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen, Offsets
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import causes, offset_documents, outbox_rows, traces
from headrace_operator.plan.actions import RestartConnector
from headrace_operator.plan.causes import Cause
from headrace_operator.plan.conditions import instant, timestamp
from headrace_operator.plan.reasons import Reason

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=2)
FOR_A_SECRET = timedelta(seconds=30)
WELL_AFTER = timedelta(minutes=2)
"""How long tasks run after a restart until it is taken to have helped."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What failed, in one line, what it is a case of, and the ``row`` of an outbox that it names."""

    told: str
    cause: Cause
    row: str | None = None


@dataclass(frozen=True, kw_only=True)
class Failing:
    """What is known of failing tasks: `record` is `status.restarts`, `due` says that a restart is to be done now.

    Without an `error`, a record says that tasks were restarted after a failure a short while ago.
    """

    error: str | None
    record: Mapping[str, Any] | None
    cause: Cause = causes.UNKNOWN
    advice: str = ""
    due: bool = False
    exhausted: bool = False
    seems_to_run: bool = False

    @property
    def message(self) -> str:
        """Return what failed and what happens next, as a sentence."""
        record, error = self.record or {}, (self.error or "").rstrip(".: ")
        attempts = _times(record.get("attempts", 0))
        if self.in_vain:
            return f"{error}. It is not restarted, as it would fail again. {self.advice}"
        if self.exhausted:
            return f"{error}. Restarted {attempts} without success: mend the cause, then edit the Connector."
        advice = f"{self.advice} " if self.advice else ""
        return f"{error}. {advice}Restarted {attempts}; next restart at {record.get('nextTime')}."

    @property
    def in_vain(self) -> bool:
        """Whether no restart helps, so that none is made."""
        return self.error is not None and self.cause.answer == "Never"

    @property
    def reason(self) -> Reason:
        """Return why the connector does not run."""
        if self.in_vain:
            return Reason.RESTART_IN_VAIN
        return Reason.RESTARTS_EXHAUSTED if self.exhausted else Reason.TASK_FAILED

    @property
    def restarted(self) -> str | None:
        """Return why tasks that run now may fail again, and until when that is watched; None when they run well."""
        record = self.record or {}
        last = instant(record.get("lastTime"))
        if self.error is not None or last is None:
            return None
        reason = str(record.get("reason")).rstrip(".")
        until = timestamp(last + WELL_AFTER)
        return (
            f"Restarted at {timestamp(last)} after a failure, and well if none follows until {until}. It was: {reason}."
        )

    def action(self, url: str, connector: str) -> RestartConnector:
        """Return the restart that is due; tasks that only seem to run are restarted, too."""
        return RestartConnector(url=url, connector=connector, only_failed=not self.seems_to_run)


def decide(
    seen: ConnectorSeen | Absent | Unknown,
    spec: ConnectorSpec | None,
    before: Mapping[str, Any] | None,
    now: datetime,
    doubt: str | None = None,
) -> Failing:
    """Decide whether failed tasks are restarted now, and what to record; what shall not run is not restarted.

    With ``doubt`` there are tasks that say that they run and cannot: that is a failure like any other.
    """
    if spec is not None and spec.state in ("Paused", "Stopped"):
        return Failing(error=None, record=None)
    if not isinstance(seen, ConnectorSeen):
        return Failing(error=None, record=before)
    failed = failure(seen) or (Failure(told=doubt, cause=causes.of(doubt)) if doubt else None)
    if failed and failed.cause.name == causes.SLOT_LOST and spec and spec.postgres.resnapshots:
        failed = dataclasses.replace(failed, cause=causes.READ_ANEW)
    if failed is None:
        last = instant((before or {}).get("lastTime"))
        return Failing(error=None, record=None if last is None or abs(now - last) > WELL_AFTER else before)
    limit = spec.restart.max_attempts if spec and spec.restart else None
    failing = _next(failed, before or {}, limit, now, seen.offsets)
    return dataclasses.replace(failing, cause=failed.cause, seems_to_run=failure(seen) is None)


def _next(failed: Failure, before: Mapping[str, Any], limit: int | None, now: datetime, offsets: Offsets) -> Failing:
    attempts, error, cause = int(before.get("attempts", 0)), failed.told, failed.cause
    due_at = instant(before.get("nextTime"))
    of_before = {key: value for key, value in before.items() if key != "row"}
    kept = {**of_before, "attempts": attempts, "cause": cause.name, **({"row": failed.row} if failed.row else {})}
    unscheduled = {key: value for key, value in kept.items() if key != "nextTime"}
    if cause.answer == "Never":
        return Failing(error=error, record=unscheduled)
    if limit is not None and attempts >= limit:
        return Failing(error=error, record=unscheduled, exhausted=True)
    if due_at is None:
        return Failing(error=error, record={**kept, "nextTime": timestamp(now + wait(attempts, cause))})
    if timedelta(0) < due_at - now <= LONGEST_WAIT:
        return Failing(error=error, record=kept)
    record = {"attempts": attempts + 1, "lastTime": timestamp(now), "reason": error, "cause": cause.name}
    saved = offset_documents.kept(offsets)
    known = {} if saved is None else {"offsets": saved}
    due = {"nextTime": timestamp(now + wait(attempts + 1, cause))}
    return Failing(error=error, record={**record, **due, **known}, due=True)


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"{attempts} times"


def anew(before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the record after an edit: restarts are counted anew, and the last one is still watched."""
    if not before or "lastTime" not in before:
        return None
    return {"attempts": 0, **{key: before[key] for key in ("lastTime", "reason", "cause", "offsets") if key in before}}


def wait(attempts: int, cause: Cause) -> timedelta:
    """Return how long to wait after so many restarts in a row; who waits for a Secret tries a login seldom."""
    return FOR_A_SECRET if cause.answer == "Secret" else min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts, 20)))


def failure(seen: ConnectorSeen) -> Failure | None:
    """Return what the first trace of what failed says, in one line, and what it is a case of."""
    if seen.state == "FAILED":
        return _failure("The connector failed", seen.trace)
    return next((_failure(f"Task {one.id} failed", one.trace) for one in seen.tasks if one.state == "FAILED"), None)


def _failure(what: str, trace: str | None) -> Failure:
    cause = causes.of(trace)
    summary = traces.summary(trace) or "without a trace"
    said = causes.said(trace, cause)
    if said and said not in summary:
        summary = traces.summary(trace, said) or said
    return Failure(told=f"{what}: {summary}", cause=cause, row=outbox_rows.named(trace))
