"""Operations on a Connector that somebody asks for once, and for which it stands still for a moment. Pure.

What is asked is recorded with its id before anything is done, and what comes next follows from what is seen: stopped,
its offsets saved and changed, and then as its spec says. So an operator that ends anywhere forgets and repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import offset_documents, outbox_rows
from headrace_operator.plan import operation_requests as requested
from headrace_operator.plan.actions import ChangeOffsets, Note
from headrace_operator.plan.conditions import Finding, false, instant, timestamp
from headrace_operator.plan.operation_requests import Asked
from headrace_operator.plan.reasons import Reason

LONGEST = timedelta(minutes=5)
"""How long a step may take until the operation is refused, and the connector goes on as its spec says."""

UNDERWAY = ("Stopping", "Changing")
CALLED = {
    requested.RESTART: "Restart",
    requested.SKIP: "Passing by of a row",
    "ResetOffsets": "Reset of the offsets",
    "SetOffsets": "Other offsets",
}
Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operating:
    """What was asked for so far: ``records`` is `status.operations`, ``latest`` the one that this pass is about."""

    records: Mapping[str, Record]
    latest: Record | None = None
    before: Record | None = None

    @property
    def holds(self) -> bool:
        """Whether the connector shall stand still now."""
        return self.latest is not None and self.latest["phase"] in UNDERWAY

    @property
    def restarts(self) -> bool:
        """Whether tasks start anew because somebody asked for it, so that failures count anew, too."""
        latest = self.latest
        return latest is not None and latest["action"] in requested.KEEPS_OFFSETS and latest["phase"] == "Done"

    @property
    def finding(self) -> Finding | None:
        """Return why the connector does not run, while that is so."""
        return false("Running", Reason.OPERATING, str(self.latest["message"])) if self.holds and self.latest else None

    @property
    def notes(self) -> tuple[Note, ...]:
        """Return the Event of an operation that has just ended."""
        if self.latest is None or self.holds or self.latest == self.before:
            return ()
        if self.latest["phase"] == "Done":
            return (Note(type="Normal", reason=Reason.OPERATION_DONE, message=str(self.latest["message"])),)
        return (Note(type="Warning", reason=Reason.OPERATION_REFUSED, message=str(self.latest["message"])),)

    def actions(self, url: str, connector: str) -> tuple[ChangeOffsets, ...]:
        """Return the change itself, once the connector stands and its offsets are saved."""
        if self.latest is None or self.latest["phase"] != "Changing":
            return ()
        return (ChangeOffsets(url=url, connector=connector, offsets=self.latest.get("offsets")),)


def decide(
    resource: Resource, seen: ConnectorSeen | Absent | Unknown | None, spec: ConnectorSpec | None, now: datetime
) -> Operating:
    """Take what is asked for, or what is under way, one step further; one operation at a time.

    Nothing begins while there is no connector of this resource to be ``seen``.
    """
    records: Mapping[str, Record] = resource.status.get("operations") or {}
    if not resource.status.get("conditions"):
        return Operating(records={name: _of_old(requested.read(resource, name), now) for name in resource.asked})
    name = _current(resource, records)
    before = records.get(name or "")
    underway = before if before and before["phase"] in UNDERWAY else None
    if name is None or spec is None or not isinstance(seen, ConnectorSeen):
        return Operating(records=records, latest=underway, before=underway)
    latest = _next(underway or _begun(resource, name, spec, seen, now), seen, now)
    return Operating(records={**records, name: latest}, latest=latest, before=before)


def is_wanted(resource: Resource) -> bool:
    """Tell whether an operation is under way, or is to begin."""
    return _current(resource, resource.status.get("operations") or {}) is not None


def _current(resource: Resource, records: Mapping[str, Record]) -> str | None:
    """Return the annotation whose operation is under way, or is to begin now."""
    underway = [name for name, record in records.items() if record["phase"] in UNDERWAY]
    ids = {name: requested.read(resource, name).id for name in resource.asked}
    return next(iter((*underway, *(name for name in ids if ids[name] != records.get(name, {}).get("id")))), None)


def _begun(resource: Resource, name: str, spec: ConnectorSpec, seen: ConnectorSeen, now: datetime) -> Record:
    asked = requested.read(resource, name)
    rows = outbox_rows.skipped(resource)
    if problem := requested.problem(asked, resource, spec) or _unsaved(asked.action, seen):
        return _record(asked, rows) | _phase("Refused", problem, now)
    then = rows if asked.row is None else outbox_rows.also(rows, asked.row)
    return _record(asked, then) | _phase("Stopping", f"{_called(asked)}: the connector is being stopped.", now)


def _unsaved(action: str, seen: ConnectorSeen) -> str | None:
    """Say that offsets which are to be changed could not be saved before."""
    return None if action in requested.KEEPS_OFFSETS else offset_documents.unsaved(seen.offsets)


def _of_old(asked: Asked, now: datetime) -> Record:
    """Answer what was asked for before Headrace knew of the Connector, such as in a manifest or a backup."""
    text = "Nothing was done: the annotation was there before the Connector was. Ask again, with another id."
    return _record(asked) | _phase("Refused", text, now)


def _record(asked: Asked, rows: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what an operation is begun with; a skip has all ``rows`` that are passed by."""
    offsets = {} if asked.offsets is None else {"offsets": list(asked.offsets)}
    row = {} if asked.row is None else {"row": asked.row}
    skip = {**row, "rows": list(rows)} if asked.action == requested.SKIP else {}
    return {"id": asked.id, "action": asked.action, **offsets, **skip}


def _called(asked: Asked) -> str:
    return f"{CALLED[asked.action]} ({asked.id})"


def _phase(phase: str, message: str, now: datetime) -> dict[str, Any]:
    return {"phase": phase, "since": timestamp(now), "message": message}


def _next(record: Record, seen: ConnectorSeen, now: datetime) -> Record:
    """Return the record after what is seen; it waits where that tells nothing new, for so long."""
    late = now - (instant(record["since"]) or now) > LONGEST
    match record["phase"]:
        case "Stopping":
            return _stopping(record, seen, now, late=late)
        case "Changing":
            return _changing(record, seen, now, late=late)
        case _:
            return record


def _stopping(record: Record, seen: ConnectorSeen, now: datetime, *, late: bool) -> Record:
    if seen.state != "STOPPED" or seen.tasks:
        text = f"Nothing was done: Kafka Connect did not stop the connector, which is {seen.state}, within 5 minutes."
        return {**record, **_phase("Refused", text, now)} if late else record
    if record["action"] == requested.SKIP:
        return _skipping(record, seen, now, late=late)
    if record["action"] == requested.RESTART:
        return {**record, **_phase("Done", "Connector and tasks were stopped, and start anew.", now)}
    if seen.offsets is None:
        text = "Nothing was done: Kafka Connect did not tell the offsets that would have been lost."
        return {**record, **_phase("Refused", text, now)} if late else record
    if problem := _unsaved(record["action"], seen):
        return {**record, **_phase("Refused", problem, now)}
    text = "The connector stands, its offsets are saved, and they are being changed."
    changing = {**record, "previous": list(seen.offsets), **_phase("Changing", text, now)}
    return _changing(changing, seen, now, late=False)


def _skipping(record: Record, seen: ConnectorSeen, now: datetime, *, late: bool) -> Record:
    """Wait until the connector, which stands, is configured to pass by the row."""
    if outbox_rows.passed_by(tuple(record["rows"])).items() <= seen.config.items():
        text = f"The outbox row with id {record['row']} is passed by: it becomes no record, also when it is read again."
        return {**record, **_phase("Done", text, now)}
    text = "The row is not passed by: Kafka Connect was not told of it within 5 minutes."
    rows = [one for one in record["rows"] if one != record["row"]]
    return {**record, "rows": rows, **_phase("Refused", text, now)} if late else record


def _changing(record: Record, seen: ConnectorSeen, now: datetime, *, late: bool) -> Record:
    if seen.offsets is None:
        return record
    if offset_documents.is_in_force(record.get("offsets"), seen.offsets):
        return {**record, **_phase("Done", "The offsets were changed; those of before are saved in previous.", now)}
    if list(seen.offsets) != list(record["previous"]):
        text = "Somebody else changed the offsets after they were saved: they are left as they are now."
        return {**record, **_phase("Refused", text, now)}
    text = "The offsets are as they were: Kafka Connect did not take others within 5 minutes."
    return {**record, **_phase("Refused", text, now)} if late else record
