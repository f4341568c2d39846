"""Debezium's signals about snapshots, as they are written to a topic. Pure.

Tables stand in them as patterns; a name that no pattern misreads stands as it is, as Debezium reads the name of a table
whose structure it does not know yet from the pattern. A blocking snapshot takes a whole statement for a filter.
"""

from __future__ import annotations

import json
import re
from typing import Any

from headrace_operator.api.snapshot import SnapshotSpec, TableFilter
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import debezium, publication, signals
from headrace_operator.plan.actions import SendSignal

PLAIN = re.compile(r"[\w -]+\.[\w -]+")
"""Tables whose names, read as patterns, are of no other table: their one special character is the dot between."""

EXECUTE, PAUSE, RESUME, STOP = "execute-snapshot", "pause-snapshot", "resume-snapshot", "stop-snapshot"
OURS = "headrace-"
"""How the ids of signals begin that Headrace sends."""


def id_of(uid: str) -> str:
    """Return the id of the signals of the Snapshot with this UID."""
    return f"{OURS}{uid}"


def execute(id: str, spec: SnapshotSpec, done: frozenset[str] = frozenset()) -> str:
    """Return the signal that begins a snapshot of the tables that are not ``done``."""
    conditions = [_condition(one, blocks=spec.blocks) for one in spec.filter or () if one.table not in done]
    data: dict[str, Any] = {"type": "blocking" if spec.blocks else "incremental"}
    data["data-collections"] = [_pattern(table) for table in spec.each if table not in done]
    return _signal(id, EXECUTE, data | ({"additional-conditions": conditions} if conditions else {}))


def about(id: str, type: str) -> str:
    """Return the signal that pauses, resumes or stops the incremental snapshot that runs."""
    return _signal(id, type, {"type": "incremental"})


def stops(world: ConnectorWorld) -> tuple[SendSignal, ...]:
    """Return what stops a snapshot whose Snapshot is gone; one that rests sees that it is to stop as it goes on."""
    if world.left is None or not isinstance(world.signals, Resource):
        return ()
    prefix = str(world.resource.status.get("topicPrefix"))
    at = {"namespace": world.resource.namespace, "kafka": world.signals.name, "key": prefix}
    values = (about(world.left, one) for one in (STOP, RESUME))
    return tuple(SendSignal(topic=signals.signals_topic(prefix), value=value, **at) for value in values)


def unfiltered(spec: SnapshotSpec) -> str | None:
    """Return a table whose filter Debezium would not find by its name; None where there is none."""
    return next((one.table for one in spec.filter or () if spec.blocks and not PLAIN.fullmatch(one.table)), None)


def _signal(id: str, type: str, data: dict[str, Any]) -> str:
    return json.dumps({"id": id, "type": type, "data": data})


def _pattern(table: str) -> str:
    return table if PLAIN.fullmatch(table) else debezium.literal(table)


def _condition(one: TableFilter, *, blocks: bool) -> dict[str, str]:
    statement = f"SELECT * FROM {publication.quoted(one.table)} WHERE ({one.where})"
    return {"data-collection": _pattern(one.table), "filter": statement if blocks else f"({one.where})"}
