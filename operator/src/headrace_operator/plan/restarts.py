"""Restarts of failed tasks: with exponential back-off, recorded before they are done, until a limit if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import traces
from headrace_operator.plan.actions import RestartConnector
from headrace_operator.plan.conditions import instant, timestamp

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=2)
WELL_AFTER = timedelta(minutes=2)
"""How long tasks run after a restart until it is taken to have helped."""

Offsets = tuple[Mapping[str, Any], ...] | None
"""Where a source stands, as Kafka Connect tells it; None when it could not."""


@dataclass(frozen=True, kw_only=True)
class Failing:
    """What is known of failing tasks: `record` is `status.restarts`, `due` says that a restart is to be done now.

    Without an `error`, a record says that tasks were restarted after a failure a short while ago.
    """

    error: str | None
    record: Mapping[str, Any] | None
    due: bool = False
    exhausted: bool = False
    seems_to_run: bool = False

    @property
    def message(self) -> str:
        """Return what failed and what happens next, as a sentence."""
        record, error = self.record or {}, (self.error or "").rstrip(".")
        attempts = record.get("attempts", 0)
        if self.exhausted:
            return f"{error}. Restarted {attempts} times without success: mend the cause, then edit the Connector."
        return f"{error}. Restarted {attempts} times; next restart at {record.get('nextTime')}."

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
    failed = failure(seen)
    error = failed or doubt
    if error is None:
        last = instant((before or {}).get("lastTime"))
        return Failing(error=None, record=None if last is None or abs(now - last) > WELL_AFTER else before)
    limit = spec.restart.max_attempts if spec and spec.restart else None
    return dataclasses.replace(_next(error, before or {}, limit, now, seen.offsets), seems_to_run=failed is None)


def _next(error: str, before: Mapping[str, Any], limit: int | None, now: datetime, offsets: Offsets) -> Failing:
    attempts = int(before.get("attempts", 0))
    if limit is not None and attempts >= limit:
        record = {key: value for key, value in {**before, "attempts": attempts}.items() if key != "nextTime"}
        return Failing(error=error, record=record, exhausted=True)
    due_at = instant(before.get("nextTime"))
    if due_at is None:
        return Failing(
            error=error, record={**before, "attempts": attempts, "nextTime": timestamp(now + wait(attempts))}
        )
    if timedelta(0) < due_at - now <= LONGEST_WAIT:
        return Failing(error=error, record=before)
    record = {"attempts": attempts + 1, "lastTime": timestamp(now), "nextTime": timestamp(now + wait(attempts + 1))}
    known = {} if offsets is None else {"offsets": list(offsets)}
    return Failing(error=error, record={**record, "reason": error, **known}, due=True)


def anew(before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the record after an edit: restarts are counted anew, and the last one is still watched."""
    if not before or "lastTime" not in before:
        return None
    return {"attempts": 0, **{key: before[key] for key in ("lastTime", "reason", "offsets") if key in before}}


def wait(attempts: int) -> timedelta:
    """Return how long to wait after so many restarts in a row."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempts, 20)))


def failure(seen: ConnectorSeen) -> str | None:
    """Return what the first trace of what failed says, in one line."""
    if seen.state == "FAILED":
        return f"The connector failed: {traces.summary(seen.trace) or 'without a trace'}"
    for task in seen.tasks:
        if task.state == "FAILED":
            return f"Task {task.id} failed: {traces.summary(task.trace) or 'without a trace'}"
    return None
