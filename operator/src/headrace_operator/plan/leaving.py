"""How a connector leaves whose Connector is gone: stopped, its offsets removed, and then it itself. Pure.

Each step follows from what is seen of it on Kafka Connect, and what to keep is said by its own configuration. So an
operator that ends anywhere forgets and repeats nothing, and no object waits for it with a finalizer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api import properties as raw
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Manifest
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import marks
from headrace_operator.plan.actions import Action, ChangeOffsets, Note, RemoveConnector, SetState
from headrace_operator.plan.conditions import instant, timestamp
from headrace_operator.plan.reasons import Reason

Record = Mapping[str, Any]
Gone = Mapping[str, ConnectorSeen | Absent | Unknown]
"""Connectors whose Connectors are gone, by name, each as a live read saw it."""

LONGEST = timedelta(minutes=5)
TRIES = 10
"""How long, and how often at least, Kafka Connect is asked for one step until the connector goes with its offsets kept.

Both count: an operator that was away has asked for nothing meanwhile.
"""

DOING = {
    "Stopping": "The connector is being stopped, so that its offsets can be removed.",
    "Forgetting": "Its offsets are being removed.",
    "Removing": "The connector is being removed.",
}


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What is done about connectors that leave: ``records`` is `status.leaving`."""

    records: tuple[Record, ...]
    actions: tuple[Action, ...]
    notes: tuple[Note, ...]


def decide(gone: Gone, before: tuple[Record, ...], url: str, now: datetime) -> Leaving:
    """Take each connector of ``gone`` one step further, by what is seen of it; one that is not known waits."""
    known = {name: one for name, one in gone.items() if isinstance(one, ConnectorSeen)}
    old = {record["connector"]: record for record in before}
    records = {name: _next(seen, old.get(name), now) for name, seen in sorted(known.items())}
    waiting = [record for name, record in old.items() if isinstance(gone.get(name), Unknown)]
    notes = [note for name, record in records.items() if (note := _note(known[name], record, old.get(name)))]
    actions = [_action(record, url) for record in _in_turn(tuple(records.values()))]
    return Leaving(records=(*records.values(), *waiting), actions=tuple(actions), notes=tuple(notes))


def still_read(gone: Gone, role: Manifest | None) -> tuple[str, ...]:
    """Return the Secrets that are named by what leaves, of those that the workers may read by their ``role``.

    Kafka Connect reads them before it changes offsets. How a connector is configured gives nobody a right anew.
    """
    readable = {name for rule in (role or {}).get("rules") or () for name in rule["resourceNames"]}
    named = (name for one in gone.values() if isinstance(one, ConnectorSeen) for name in raw.referred(one.config))
    return tuple(dict.fromkeys(name for name in named if name in readable))


def _in_turn(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Begin with another one at each try: a pass ends with the first action that fails."""
    first = max((record["tries"] for record in records), default=0) % (len(records) or 1)
    return (*records[first:], *records[:first])


def _next(seen: ConnectorSeen, before: Record | None, now: datetime) -> Record:
    fresh = _record(seen, _phase(seen), now)
    if before is None or before["resource"] != fresh["resource"]:
        return fresh
    again = {**before, "tries": before["tries"] + 1}
    if before["phase"] == "Removing":
        return again
    if before["phase"] != fresh["phase"]:
        return fresh
    return {**again, "phase": "Removing", "message": _in_vain(before)} if _is_in_vain(before, now) else again


def _phase(seen: ConnectorSeen) -> str:
    if marks.keeps_offsets(seen.config) or (seen.offsets == () and _stands(seen)):
        return "Removing"
    return "Forgetting" if _stands(seen) else "Stopping"


def _stands(seen: ConnectorSeen) -> bool:
    return seen.state == "STOPPED" and not seen.tasks


def _record(seen: ConnectorSeen, phase: str, now: datetime) -> dict[str, Any]:
    known = {"connector": seen.name, "resource": seen.config.get(marks.RESOURCE, ""), "phase": phase}
    return {**known, "tries": 1, "since": timestamp(now), "message": DOING[phase]}


def _is_in_vain(record: Record, now: datetime) -> bool:
    return record["tries"] >= TRIES and now - (instant(record["since"]) or now) > LONGEST


def _in_vain(record: Record) -> str:
    """Say what Kafka Connect did not do, so that the connector goes without it."""
    what = "stop the connector" if record["phase"] == "Stopping" else "remove its offsets"
    return f"Kafka Connect did not {what} within 5 minutes: the connector is being removed, and its offsets stay."


def _action(record: Record, url: str) -> Action:
    match record["phase"]:
        case "Stopping":
            return SetState(url=url, connector=record["connector"], verb="stop")
        case "Forgetting":
            return ChangeOffsets(url=url, connector=record["connector"], offsets=None)
        case _:
            return RemoveConnector(url=url, connector=record["connector"])


def _note(seen: ConnectorSeen, record: Record, before: Record | None) -> Note | None:
    """Return the Event of offsets that are about to go, with what they are; or of those that stay against the wish."""
    if before is not None and (before["phase"], before["resource"]) == (record["phase"], record["resource"]):
        return None
    if record["phase"] == "Forgetting" and seen.offsets:
        text = f"Connector {seen.name} leaves with its offsets, which were {json.dumps(list(seen.offsets))}."
        return Note(type="Normal", reason=Reason.OFFSETS_REMOVED, message=text)
    if record["phase"] == "Removing" and record["message"] != DOING["Removing"]:
        text = (
            f"{seen.name}: {record['message']} A Connector that is made anew by its name would go on from them, and "
            "begin anew only by headrace connector offsets reset."
        )
        return Note(type="Warning", reason=Reason.OFFSETS_STAY, message=text)
    return None
