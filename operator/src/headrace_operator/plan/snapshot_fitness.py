"""Whether a Snapshot can be asked for: what refuses it, and what it waits for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.api.snapshot import SnapshotSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import SnapshotWorld
from headrace_operator.plan import connectcluster, publication, signals, snapshot_signals
from headrace_operator.plan.acceptance import Check
from headrace_operator.plan.conditions import Finding, false, unknown
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.snapshot_progress import OVER, SENT
from headrace_operator.plan.source import value

OLDEST = 130000
"""The version of PostgreSQL, as it counts itself, from which on a snapshot needs no table of its own."""


def checks(world: SnapshotWorld) -> tuple[Check, ...]:
    """Return what judges a spec beside its Connector, as far as that is known."""
    return (
        _unfiltered,
        lambda spec: _uncaptured(world, spec),
        lambda spec: _unheard(world),
        lambda spec: _unreadable(world, spec),
    )


def _unfiltered(spec: SnapshotSpec) -> Finding | None:
    if (table := snapshot_signals.unfiltered(spec)) is None:
        return None
    text = f"spec.filter: {table} has a name by which Debezium finds no filter of a blocking snapshot: leave it out."
    return false("Accepted", Reason.INVALID, text)


def _captured(world: SnapshotWorld) -> ConnectorSpec | None:
    return publication.accepted(world.connector) if isinstance(world.connector, Resource) else None


def captures_all(world: SnapshotWorld, tables: Iterable[str]) -> bool:
    """Tell whether the Connector captures all of these tables, as far as that is known."""
    spec = _captured(world)
    return spec is not None and set(tables) <= set(publication.captured(spec))


def _uncaptured(world: SnapshotWorld, spec: SnapshotSpec) -> Finding | None:
    """Say which table the Connector does not capture, so that nothing of it would come."""
    captures = _captured(world)
    if captures is None:
        return None
    missing = [table for table in spec.each if table not in publication.captured(captures)]
    if not missing:
        return None
    text = (
        f"spec.tables: Connector {spec.connector} does not capture {', '.join(missing)}: add it to spec.capture.tables "
        "there, or mend the name here. Nothing was sent."
    )
    return false("Accepted", Reason.TABLE_NOT_CAPTURED, text)


def _unheard(world: SnapshotWorld) -> Finding | None:
    """Say why the connector cannot be told of it."""
    captures, kafka = _captured(world), connectcluster.kafka_spec(world.kafka)
    if captures is None or kafka is None or not isinstance(world.connect, Resource):
        return None
    why = signals.obstacle(captures, world.connect, kafka)
    return None if why is None else false("Accepted", Reason.SIGNALS_ELSEWHERE, why)


def _unreadable(world: SnapshotWorld, spec: SnapshotSpec) -> Finding | None:
    """Say which table cannot be read so, as the source agent sees it; without an agent Debezium says it later."""
    captures = _captured(world)
    if captures is None or not isinstance(world.source, SourceSeen):
        return None
    return next(_lacks(world.source, spec, captures), None)


def _lacks(source: SourceSeen, spec: SnapshotSpec, captures: ConnectorSpec) -> Iterator[Finding]:
    config = captures.config or {}
    server = value(source.server)
    if server and server.version_number < OLDEST and not spec.blocks and signals.TABLE not in config:
        text = f"PostgreSQL {server.version} is older than 13, which an incremental snapshot needs"
        yield false("Accepted", Reason.INVALID, f"{text}: make a Snapshot with type: Blocking instead.")
    for table in value(source.tables) or ():
        if table.name not in spec.each:
            continue
        if table.relation is None:
            yield false("Accepted", Reason.TABLE_MISSING, f"spec.tables: there is no {table.name} in the database.")
        elif not table.relation.primary_key and not spec.blocks and "message.key.columns" not in config:
            yield false("Accepted", Reason.TABLE_WITHOUT_KEY, _without_key(table.name))


def _without_key(table: str) -> str:
    return (
        f"spec.tables: {table} has no primary key, by which an incremental snapshot reads it in pieces: make a "
        "Snapshot with type: Blocking instead, or give it a key."
    )


def waits(world: SnapshotWorld) -> Finding | None:
    """Say what an accepted Snapshot waits for before it is asked for; None when nothing stands in the way."""
    connector = world.connector
    if isinstance(connector, Absent):
        text = f"Connector {world.resource.spec.get('connector')} does not exist: create it."
        return false("Completed", Reason.CONNECTOR_NOT_FOUND, text)
    if isinstance(connector, Unknown):
        return unknown("Completed", Reason.UNKNOWN, connector.reason)
    if (why := _unready(connector)) is not None:
        return false("Completed", Reason.CONNECTOR_NOT_READY, why)
    if isinstance(world.others, Unknown):
        return unknown("Completed", Reason.UNKNOWN, world.others.reason)
    if (first := _before(world.resource, world.others)) is not None:
        text = f"It begins once Snapshot {first} of this Connector is over: a connector takes one at a time."
        return false("Completed", Reason.OTHER_SNAPSHOT, text)
    if (other := connector.status.get("snapshot")) is not None:
        text = f"It begins once the snapshot with the id {other}, which runs, is over: a connector takes one at a time."
        return false("Completed", Reason.OTHER_SNAPSHOT, text)
    if isinstance(world.topics, Unknown):
        return unknown("Completed", Reason.UNKNOWN, world.topics.reason)
    return None


def _unready(connector: Resource) -> str | None:
    if publication.accepted(connector) is None:
        return f"No spec of Connector {connector.name} is accepted yet."
    if not connector.status.get("snapshotTaken"):
        return f"Connector {connector.name} has not read all rows for the first time: those come by themselves."
    if not runs(connector):
        said = (connector.condition("Running") or {}).get("message", "")
        return re.sub(r"\s+$", "", f"Connector {connector.name} does not run. {said}")
    if not connector.status.get("signals"):
        return f"Connector {connector.name} is being configured to be told of snapshots."
    return None


def runs(connector: object) -> bool:
    """Tell whether all tasks of a Connector run."""
    if not isinstance(connector, Resource):
        return False
    told = connector.condition("Running") or {}
    return (told.get("status"), told.get("reason")) == ("True", Reason.TASKS_RUNNING)


def _before(resource: Resource, others: tuple[Resource, ...]) -> str | None:
    """Return the Snapshot of the same Connector that is under way, or was made earlier and may begin, too."""
    beside = [one for one in others if one.uid != resource.uid and _is_beside(one, resource)]
    going = next((one.name for one in beside if one.status.get("phase") in SENT), None)
    mine = _made(resource)
    return going or next((one.name for one in beside if _may_begin(one) and _made(one) < mine), None)


def _is_beside(other: Resource, resource: Resource) -> bool:
    same = other.spec.get("connector") == resource.spec.get("connector")
    return same and not other.deleting and other.status.get("phase") not in OVER


def _may_begin(other: Resource) -> bool:
    is_refused = (other.condition("Accepted") or {}).get("status") == "False"
    return not is_refused and not other.spec.get("paused")


def _made(resource: Resource) -> tuple[str, str]:
    return resource.created or "", resource.uid
