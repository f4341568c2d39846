"""How a connector leaves whose Connector is gone: stopped, its offsets removed, and then it itself. Pure.

Each step follows from what is seen of it on Kafka Connect, and what to keep is said by its own configuration. So an
operator that ends anywhere forgets and repeats nothing, and no object waits for it with a finalizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api import properties as raw
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Manifest
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import left, marks
from headrace_operator.plan.actions import Action, ChangeOffsets, Note, RemoveConnector, SetState
from headrace_operator.plan.conditions import instant, timestamp
from headrace_operator.plan.source import Source

Record = Mapping[str, Any]
Gone = Mapping[str, ConnectorSeen | Absent | Unknown]
"""Connectors whose Connectors are gone, by name, each as a live read saw it."""

Sources = Mapping[str, Source]
"""What the source agent tells of their databases, by their names; nothing where there is no agent."""

LONGEST = timedelta(minutes=5)
TRIES = 10
"""How long, and how often at least, one step is tried until the connector goes without it.

Both count: an operator that was away has tried nothing meanwhile.
"""

DOING = {
    "Stopping": "The connector is being stopped, so that its offsets can be removed.",
    "Dropping": "The source agent is dropping its replication slot and publication.",
    "Forgetting": "Its offsets are being removed.",
    "Removing": "The connector is being removed.",
}
AFTER_DROPPING = ("Forgetting", "Removing")


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What is done about connectors that leave: ``records`` is `status.leaving`.

    ``dropping`` has the configurations of those whose slots the source agent is to drop now, by their names.
    """

    records: tuple[Record, ...]
    actions: tuple[Action, ...]
    notes: tuple[Note, ...]
    dropping: Mapping[str, Mapping[str, str]]


def decide(gone: Gone, before: tuple[Record, ...], sources: Sources, url: str, now: datetime) -> Leaving:
    """Take each connector of ``gone`` one step further, by what is seen of it; one that is not known waits."""
    known = {name: one for name, one in gone.items() if isinstance(one, ConnectorSeen)}
    old = {record["connector"]: record for record in before}
    old = {name: one for name, one in old.items() if name not in known or _is_of(one, known[name])}
    records = {name: _next(seen, old.get(name), sources.get(name), now) for name, seen in sorted(known.items())}
    waiting = [record for name, record in old.items() if isinstance(gone.get(name), Unknown)]
    told = (_notes(known[name], old.get(name), new, sources.get(name)) for name, new in records.items())
    actions = (_action(record, url) for record in _in_turn(tuple(records.values())))
    return Leaving(
        records=(*records.values(), *waiting),
        actions=tuple(action for action in actions if action is not None),
        notes=tuple(note for notes in told for note in notes),
        dropping={name: known[name].config for name, record in records.items() if record["phase"] == "Dropping"},
    )


def still_read(gone: Gone, role: Manifest | None) -> tuple[str, ...]:
    """Return the Secrets that are named by what leaves, of those that the workers may read by their ``role``.

    Kafka Connect reads them before it changes offsets. How a connector is configured gives nobody a right anew.
    """
    readable = {name for rule in (role or {}).get("rules") or () for name in rule.get("resourceNames", ())}
    named = (name for one in gone.values() if isinstance(one, ConnectorSeen) for name in raw.referred(one.config))
    return tuple(dict.fromkeys(name for name in named if name in readable))


def _is_of(record: Record, seen: ConnectorSeen) -> bool:
    return bool(record["resource"] == marks.owner(seen.config))


def _in_turn(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Begin with another one at each try: a pass ends with the first action that fails."""
    first = max((record["tries"] for record in records), default=0) % (len(records) or 1)
    return (*records[first:], *records[:first])


def _next(seen: ConnectorSeen, before: Record | None, database: Source | None, now: datetime) -> Record:
    past = before is not None and before["phase"] in AFTER_DROPPING
    phase = _phase(seen, drops=not past and left.is_to_drop(seen, database))
    if before is None:
        return _record(seen, phase, now)
    again = {**before, "tries": before["tries"] + 1}
    if before["phase"] == "Removing":
        return again
    if before["phase"] != phase:
        return _record(seen, phase, now)
    if not _is_in_vain(before, now):
        return again
    if phase == "Dropping":
        return _record(seen, _phase(seen, drops=False), now)
    return {**again, "phase": "Removing", "message": _in_vain(before)}


def _phase(seen: ConnectorSeen, *, drops: bool) -> str:
    if marks.keeps_offsets(seen.config):
        return "Removing"
    if seen.state != "STOPPED" or seen.tasks:
        return "Stopping"
    if drops:
        return "Dropping"
    return "Removing" if seen.offsets == () else "Forgetting"


def _record(seen: ConnectorSeen, phase: str, now: datetime) -> dict[str, Any]:
    known = {"connector": seen.name, "resource": marks.owner(seen.config), "phase": phase}
    return {**known, "tries": 1, "since": timestamp(now), "message": DOING[phase]}


def _is_in_vain(record: Record, now: datetime) -> bool:
    return record["tries"] >= TRIES and now - (instant(record["since"]) or now) > LONGEST


def _in_vain(record: Record) -> str:
    """Say what Kafka Connect did not do, so that the connector goes without it."""
    what = "stop the connector" if record["phase"] == "Stopping" else "remove its offsets"
    return f"Kafka Connect did not {what} within 5 minutes: the connector is being removed, and its offsets stay."


def _action(record: Record, url: str) -> Action | None:
    match record["phase"]:
        case "Stopping":
            return SetState(url=url, connector=record["connector"], verb="stop")
        case "Dropping":
            return None
        case "Forgetting":
            return ChangeOffsets(url=url, connector=record["connector"], offsets=None)
        case _:
            return RemoveConnector(url=url, connector=record["connector"])


def _notes(seen: ConnectorSeen, before: Record | None, now: Record, database: Source | None) -> tuple[Note, ...]:
    """Return the Events of what is about to go, and of what stays behind, each on its transition."""
    was, is_ = before["phase"] if before else None, now["phase"]
    found: list[Note | None] = []
    if is_ in AFTER_DROPPING and was not in AFTER_DROPPING:
        found.append(left.in_database(seen, database, tried=was == "Dropping"))
    if is_ == "Forgetting" and was != is_:
        found.append(left.offsets_removed(seen))
    if is_ == "Removing" and was != is_ and now["message"] != DOING[is_]:
        found.append(left.offsets_stay(seen, str(now["message"])))
    return tuple(note for note in found if note is not None)
