"""What to do about a KafkaConnection: nothing but say whether it answers, and what it offers."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.observed.kafka import ClusterSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent
from headrace_operator.observed.world import KafkaConnectionWorld, Secrets
from headrace_operator.plan import acceptance
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.conditions import Finding, dated, false, notes, true, with_ready
from headrace_operator.plan.reasons import Reason
from headrace_operator.settings import Settings

NEEDED = frozenset({"Accepted", "Reachable"})


def plan(world: KafkaConnectionWorld, settings: Settings, now: datetime) -> Plan:
    """Return the status of a KafkaConnection; it has no children."""
    resource = world.resource
    judged = _judge(resource)
    findings = with_ready([judged.finding, _reachable(world)], NEEDED, judged.stalled)
    previous = resource.status.get("conditions") or []
    conditions = dated(findings, previous, resource.generation, now)
    status = {"observedGeneration": resource.generation, "conditions": conditions, "accepted": judged.accepted}
    if isinstance(world.cluster, ClusterSeen):
        status |= {
            "clusterId": world.cluster.cluster_id,
            "brokers": world.cluster.brokers,
            "features": list(world.cluster.features),
        }
    again = timedelta(seconds=30 if isinstance(world.cluster, ClusterSeen) else 5)
    return Plan(actions=(), status=status, notes=notes(previous, conditions), look_again=again)


def in_force(resource: Resource) -> Resource:
    """Return the KafkaConnection as it is to be asked: by what this pass accepts, not by what an earlier one did."""
    return dataclasses.replace(resource, status={**resource.status, "accepted": _judge(resource).accepted})


def _judge(resource: Resource) -> Acceptance[KafkaConnectionSpec]:
    return acceptance.judge(KafkaConnectionSpec, resource, _no_passwords)


def _no_passwords(spec: KafkaConnectionSpec) -> str | None:
    return acceptance.no_passwords("properties", spec.properties)


def _reachable(world: KafkaConnectionWorld) -> Finding:
    missing = absent_secret(world.secrets)
    if missing is not None:
        return missing
    if isinstance(world.cluster, ClusterSeen):
        return true("Reachable", Reason.KAFKA_REACHABLE, f"Kafka answers with {world.cluster.brokers} brokers.")
    return false("Reachable", Reason.KAFKA_UNREACHABLE, world.cluster.reason)


def absent_secret(secrets: Secrets) -> Finding | None:
    """Say which Secret is missing: make it, or name another."""
    for name, seen in secrets.items():
        if isinstance(seen, Absent):
            return false(
                "Reachable", Reason.SECRET_NOT_FOUND, f"Secret {name} does not exist in this namespace: create it."
            )
    return None
