"""What a source agent's word about a database means for its Connector: conditions, and what refuses or holds a spec."""

from __future__ import annotations

import dataclasses
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import debezium, preparation, publication, slots, streaming
from headrace_operator.plan import source as sources
from headrace_operator.plan.conditions import Finding, false, unknown
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.slots import Reader
from headrace_operator.plan.source import Source

UNSPECIFIED = "No spec that names a database is accepted."
IDLE = {"Paused": Reason.PAUSED, "Stopped": Reason.STOPPED}


def is_watched(world: ConnectorWorld) -> bool:
    """Tell whether an agent is to look at the Connector's database."""
    return isinstance(world.connect, Resource) and sources.is_on(world.connect)


def refusal(world: ConnectorWorld, spec: ConnectorSpec) -> Finding | None:
    """Return why a spec that Kafka Connect does not run yet is refused by what the database has."""
    if not is_watched(world) or world.validation is None:
        return None
    found = _prepared(world, spec)
    if found.reason in preparation.HARMLESS and not _adds(world.resource, spec):
        return None
    return preparation.refusal(found)


def held(resource: Resource, spec: ConnectorSpec, source: Source) -> str | None:
    """Say why Kafka Connect is not asked about a spec yet, that it does not run."""
    found = _judged(resource, spec, source)
    return None if found.reason in preparation.HARMLESS and not _adds(resource, spec) else preparation.held(found)


def findings(world: ConnectorWorld, spec: ConnectorSpec | None) -> tuple[Finding, Finding, Finding]:
    """Return the conditions `SourceReady`, `SlotHealthy` and `Streaming` of the spec in force."""
    kinds = (sources.TYPE, slots.TYPE, streaming.TYPE)
    if spec is None:
        ready, slot, streams = (unknown(kind, Reason.UNKNOWN, UNSPECIFIED) for kind in kinds)
        return ready, slot, streams
    reader = _reader(world, spec)
    ready = _in_force(world, spec, reader)
    return ready, slots.finding(world.source, reader), _streaming(world, spec, reader)


def needed(found: tuple[Finding, ...]) -> frozenset[str]:
    """Return which of these conditions `Ready` needs: one that is unknown, or warns of harm to others, is none."""
    wrong = (one for one in found if one.status == "False" and one.type != streaming.TYPE)
    return frozenset(
        one.type
        for one in wrong
        if (one.type == sources.TYPE and one.reason not in preparation.HARMLESS) or one.reason in slots.LOST
    )


def halts(slot: Finding, spec: ConnectorSpec | None) -> bool:
    """Tell whether nothing is started again, as what the slot should keep is not there."""
    resnapshots = spec is not None and spec.postgres.resnapshots
    return slot.reason in slots.LOST and not (resnapshots and slot.reason == Reason.SLOT_LOST)


def status(world: ConnectorWorld, judged: ConnectorSpec | None, in_force: ConnectorSpec | None) -> dict[str, Any]:
    """Return what the status has of the database; what nobody could tell this time stays as it was."""
    before, generation = world.resource.status, world.resource.generation
    identity = _identity(world.source) if before.get("accepted") else None
    found: dict[str, Any] = {"systemIdentifier": before.get("systemIdentifier") or identity}
    if judged is not None and (_is_prepared(world, judged) or before.get("preparedGeneration") == generation):
        found["preparedGeneration"] = generation
    if in_force is not None:
        found["lagBytes"] = streaming.behind(world.source, _reader(world, in_force))
    return found


def _is_prepared(world: ConnectorWorld, spec: ConnectorSpec) -> bool:
    """Tell whether nothing but a publication is missing, so that one may be made."""
    if not is_watched(world):
        return False
    reason = _prepared(world, spec).reason
    return reason in (Reason.SOURCE_READY, Reason.PUBLICATION_AWAITED, Reason.PUBLICATION_INCOMPLETE)


def _prepared(world: ConnectorWorld, spec: ConnectorSpec) -> Finding:
    return _judged(world.resource, spec, world.source if world.candidate is None else world.candidate)


def _judged(resource: Resource, spec: ConnectorSpec, source: Source) -> Finding:
    return _other_server(resource, source) or preparation.finding(resource, spec, source)


def _in_force(world: ConnectorWorld, spec: ConnectorSpec, reader: Reader) -> Finding:
    found = _judged(world.resource, spec, world.source)
    if found.reason in preparation.HOLDS and found.status == "False" and reader.runs and not reader.stands:
        text = f"The connector reads its database, but the source agent does not: {found.message}"
        return dataclasses.replace(found, status="Unknown", reason=Reason.UNKNOWN, message=text)
    return found


def _other_server(resource: Resource, source: Source) -> Finding | None:
    """Say that an address leads to another server than the one whose positions are committed."""
    known, seen = resource.status.get("systemIdentifier"), _identity(source)
    if not known or not seen or known == seen:
        return None
    text = (
        f"spec.postgres.host leads to another server (system identifier {seen}) than the one that was captured until "
        f"now ({known}), whose positions mean nothing there: changes would be lost without a word. Write the first "
        "server's address, or make another Connector for this one."
    )
    return false(sources.TYPE, Reason.OTHER_SERVER, text)


def _identity(source: Source) -> str | None:
    server = sources.value(source.server) if isinstance(source, SourceSeen) else None
    return None if server is None else server.system_identifier


def _streaming(world: ConnectorWorld, spec: ConnectorSpec, reader: Reader) -> Finding:
    if spec.state in IDLE:
        return false(streaming.TYPE, IDLE[spec.state], f"The connector is to be {spec.state.lower()}.")
    return streaming.finding(world.source, reader)


def _reader(world: ConnectorWorld, spec: ConnectorSpec) -> Reader:
    seen = world.seen if isinstance(world.seen, ConnectorSeen) else None
    states = {seen.state, *(task.state for task in seen.tasks)} if seen else set()
    return Reader(
        called=f"{world.resource.name} -n {world.resource.namespace}",
        made=debezium.configuration(world.resource, spec),
        offsets=seen.offsets if seen else None,
        runs=states == {"RUNNING"} and bool(seen and seen.tasks),
        stands=world.stands,
        resnapshots=spec.postgres.resnapshots,
    )


def _adds(resource: Resource, spec: ConnectorSpec) -> bool:
    """Tell whether a spec captures a table that the accepted one does not."""
    return not set(publication.tables(spec)) <= set(publication.accepted_tables(resource))
