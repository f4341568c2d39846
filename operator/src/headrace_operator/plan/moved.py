"""Names on Kafka stay as they were made: by another `clusterName` a resource would leave all it has, and begin anew.

So nothing is done about a resource that was made by another one, and it says so; what runs goes on.
"""

from __future__ import annotations

from datetime import datetime

from headrace import names as kafka_names
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import acceptance, names, needs
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.conditions import dated, false, notes, true, with_ready
from headrace_operator.plan.reasons import Reason


def plan(resource: Resource, now: datetime) -> Plan | None:
    """Return the plan that tells of it where the names of `resource` would be others than before; else None."""
    named = _named(resource)
    if named is None or acceptance.recorded(resource) is None:
        return None
    before, wanted = named
    if before is None or before == wanted:
        return None
    name = resource.cluster or "empty"
    text = (
        f"It was made as {before}, and clusterName, which is {name} now, would make it {wanted}: nothing is done "
        "about it, and what runs goes on. Set clusterName to what it was, or delete this and make it anew: it then "
        "begins anew on Kafka."
    )
    previous = resource.status.get("conditions") or []
    problem = false("Accepted", Reason.CLUSTER_NAME_CHANGED, text)
    stalled = true("Stalled", problem.reason, text)
    findings = with_ready([problem], frozenset({"Accepted"}), stalled)
    conditions = dated(findings, previous, resource.generation, now)
    status = {**resource.status, "observedGeneration": resource.generation, "conditions": conditions}
    return Plan(actions=(), status=status, notes=notes(previous, conditions))


def _named(resource: Resource) -> tuple[str | None, str] | None:
    """Return the name that all others of a resource are like, as it was recorded and as it would be made now.

    None of a kind that has none on Kafka. Workers of releases that did not record it knew no `clusterName`.
    """
    place, name, status = resource.place, resource.name, resource.status
    match resource.kind:
        case "Consumer":
            return status.get("group"), kafka_names.group(place, name)
        case "Connector":
            return status.get("connectorName"), names.connector(place, name)
        case "ConnectCluster":
            return status.get("group") or names.connect_group(resource.namespace, name), names.connect_group(
                place, name
            )
        case "OutboxRelay" if "topicPrefix" not in needs.accepted(resource):
            return status.get("topicPrefix"), names.outbox_prefix(place, name)
        case _:
            return None
