"""Restarts of failed tasks: with exponential back-off, recorded before they are done, until a limit."""

from __future__ import annotations

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
LONGEST_WAIT = timedelta(minutes=10)
WELL_AFTER = timedelta(minutes=2)
DEFAULT_ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True)
class Failing:
    """What is known of failing tasks: `record` is `status.restarts`, `due` says that a restart is to be done now."""

    error: str | None
    record: Mapping[str, Any] | None
    due: bool = False
    exhausted: bool = False

    @property
    def message(self) -> str:
        """Return what failed and what happens next, as a sentence."""
        record, error = self.record or {}, (self.error or "").rstrip(".")
        attempts = record.get("attempts", 0)
        if self.exhausted:
            return f"{error}. Restarted {attempts} times without success: mend the cause, then edit the Connector."
        return f"{error}. Restarted {attempts} times; next restart at {record.get('nextTime')}."

    def action(self, url: str, connector: str) -> RestartConnector:
        """Return the restart that is due."""
        return RestartConnector(url=url, connector=connector, only_failed=True)


def decide(
    seen: ConnectorSeen | Absent | Unknown, spec: ConnectorSpec | None, before: Mapping[str, Any] | None, now: datetime
) -> Failing:
    """Decide whether failed tasks are restarted now, and what to record; what shall not run is not restarted."""
    if spec is not None and spec.state in ("Paused", "Stopped"):
        return Failing(error=None, record=None)
    if not isinstance(seen, ConnectorSeen):
        return Failing(error=None, record=before)
    error = failure(seen)
    if error is None:
        last = instant((before or {}).get("lastTime"))
        return Failing(error=None, record=None if last is None or now - last > WELL_AFTER else before)
    limit = DEFAULT_ATTEMPTS if spec is None or spec.restart is None else spec.restart.max_attempts
    return _next(error, before or {}, DEFAULT_ATTEMPTS if limit is None else limit, now)


def _next(error: str, before: Mapping[str, Any], limit: int, now: datetime) -> Failing:
    attempts = int(before.get("attempts", 0))
    if attempts >= limit:
        record = {key: value for key, value in {**before, "attempts": attempts}.items() if key != "nextTime"}
        return Failing(error=error, record=record, exhausted=True)
    due_at = instant(before.get("nextTime"))
    if due_at is None:
        return Failing(
            error=error, record={**before, "attempts": attempts, "nextTime": timestamp(now + wait(attempts))}
        )
    if now < due_at:
        return Failing(error=error, record=before)
    record = {"attempts": attempts + 1, "lastTime": timestamp(now), "reason": error}
    return Failing(error=error, record=record | {"nextTime": timestamp(now + wait(attempts + 1))}, due=True)


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
