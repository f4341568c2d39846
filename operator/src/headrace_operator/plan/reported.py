"""What the status of a Connector tells of its connector: its tasks, its figures, and what it was configured by."""

from __future__ import annotations

import dataclasses
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen, TaskSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import debezium, defaults, names, offset_documents, restarts, signals, traces
from headrace_operator.plan.acceptance import Acceptance

FIGURES = ("offsets", "topics")
MOST_TASKS = 100


def status(world: ConnectorWorld, judged: Acceptance[ConnectorSpec], failing: restarts.Failing) -> dict[str, Any]:
    """Return what the status of a Connector has of its connector, and what is in force."""
    resource, seen = world.resource, world.seen
    told: dict[str, Any] = {"observedGeneration": resource.generation, "accepted": judged.accepted}
    told["defaults"] = defaults.recorded(judged, resource, defaults.given(resource, world.connect))
    told["connectorName"] = names.connector(resource.place, resource.name)
    if judged.spec is not None:
        told["topicPrefix"] = debezium.prefix(resource, judged.spec)
        told["signals"] = resource.status.get("signals") or signals.listens(seen, told["topicPrefix"]) or None
    if failing.record is not None:
        told["restarts"] = failing.record
    if isinstance(seen, ConnectorSeen):
        tasks = _tasks(seen, world.doubt)
        running = sum(task.state == "RUNNING" for task in tasks)
        told |= {"state": seen.state, "tasks": [_task(task) for task in tasks[:MOST_TASKS]]}
        told["tasksReady"] = f"{running}/{len(tasks)}"
        if seen.lag is not None:
            told["lagSeconds"] = round(seen.lag)
    return told | ({} if isinstance(seen, Absent) else _figures(resource, seen))


def _figures(resource: Resource, seen: ConnectorSeen | Unknown) -> dict[str, Any]:
    """Return offsets and topics; those that nobody could tell this time stay as they were last seen."""
    told = {name: getattr(seen, name, None) for name in FIGURES}
    found = {name: resource.status.get(name) if value is None else list(value) for name, value in told.items()}
    return found | {"offsets": offset_documents.kept(found["offsets"])} | _snapshots(resource, told["offsets"])


def _snapshots(resource: Resource, offsets: offset_documents.Document | None) -> dict[str, Any]:
    """Return what offsets tell of snapshots; what nobody could tell this time stays."""
    if offsets is None:
        return {name: resource.status.get(name) for name in ("snapshotTaken", "snapshot")}
    has_begun = offset_documents.has_begun(offsets)
    return {"snapshotTaken": has_begun or None, "snapshot": offset_documents.snapshot(offsets)}


def _tasks(seen: ConnectorSeen, doubt: str | None) -> tuple[TaskSeen, ...]:
    """Return the tasks; those that say that they run, and cannot, have failed to whoever counts them."""
    if doubt is None:
        return seen.tasks
    return tuple(dataclasses.replace(task, state="FAILED", trace=doubt) for task in seen.tasks)


def _task(task: TaskSeen) -> dict[str, Any]:
    error = traces.summary(task.trace)
    known = {"id": task.id, "state": task.state, "worker": task.worker, "error": error}
    return {key: value for key, value in known.items() if value is not None}
