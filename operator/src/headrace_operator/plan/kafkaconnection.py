"""What to do about a KafkaConnection: nothing but say whether it is accepted and whether it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api import addresses
from headrace_operator.api import properties as raw
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, accepted, reached
from headrace_operator.observed.kafka import ClusterSeen
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.observed.value import Absent
from headrace_operator.observed.world import KafkaConnectionWorld, Secrets
from headrace_operator.plan import acceptance, needs
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.conditions import Finding, dated, false, notes, true, unknown, with_ready
from headrace_operator.plan.reasons import Reason
from headrace_operator.settings import Settings

NEEDED = frozenset({"Accepted", "Reachable"})
NONE_SEEN: Secrets = {}
ENDPOINT = "sasl.oauth.tokenEndpoint"


def plan(world: KafkaConnectionWorld, settings: Settings, now: datetime) -> Plan:
    """Return the status of a KafkaConnection; it has no children."""
    resource = world.resource
    judged = judge(resource, world.secrets)
    findings = with_ready([judged.finding, _reachable(world, judged.spec)], NEEDED, judged.stalled)
    previous = resource.status.get("conditions") or []
    conditions = dated(findings, previous, resource.generation, now)
    status = {"observedGeneration": resource.generation, "conditions": conditions, "accepted": _recorded(world, judged)}
    if isinstance(world.cluster, ClusterSeen):
        status |= {"clusterId": world.cluster.cluster_id, "brokers": world.cluster.brokers}
        if world.cluster.group_protocols is not None:
            status |= {"features": {"groupProtocols": list(world.cluster.group_protocols)}}
    again = timedelta(seconds=30 if isinstance(world.cluster, ClusterSeen) else 5)
    return Plan(actions=(), status=status, notes=notes(previous, conditions), look_again=again)


def judge(resource: Resource, secrets: Secrets = NONE_SEEN) -> Acceptance[KafkaConnectionSpec]:
    """Return which spec of a KafkaConnection is in force; only that one may be used to reach Kafka."""
    judged = acceptance.judge(
        KafkaConnectionSpec,
        resource,
        _only_tuning,
        lambda spec: acceptance.no_login("bootstrapServers", spec.bootstrap_servers, "@"),
        lambda spec: acceptance.address("bootstrapServers", spec.bootstrap_servers, addresses.BROKERS),
        lambda spec: acceptance.no_login(ENDPOINT, _endpoint(spec), raw.LOGIN_OF_URL),
        lambda spec: acceptance.address(ENDPOINT, _endpoint(spec), addresses.TOKENS),
        lambda spec: _only_to_hosts(spec, secrets),
    )
    return acceptance.in_force_within(judged, lambda spec: _only_to_hosts(spec, secrets))


def in_force(resource: Resource, secrets: Secrets = NONE_SEEN) -> Resource:
    """Return a KafkaConnection as its own pass leaves it, with what that accepts; its status may be older."""
    usable = _usable(judge(resource, secrets))
    return dataclasses.replace(resource, status={**resource.status, "accepted": usable})


def unaccepted(resource: Resource) -> str | None:
    """Say why others may not use a KafkaConnection; None when it is accepted, or an earlier spec of it is."""
    if accepted(resource.status) is not None:
        return None
    problem = judge(resource).problem
    told = resource.condition("Ready") or {"message": "Headrace has not looked at it yet."}
    why = problem.message if problem else told["message"]
    how = "is not accepted" if acceptance.recorded(resource) is None else "cannot be read by this version"
    return f"KafkaConnection {resource.name} {how}, so it is not used: {why}"


def _endpoint(spec: KafkaConnectionSpec) -> str | None:
    return spec.sasl.oauth.token_endpoint if spec.sasl and spec.sasl.oauth else None


def _only_to_hosts(spec: KafkaConnectionSpec, secrets: Secrets) -> Finding | None:
    return acceptance.only_to_hosts(needs.kafka_secrets(spec), secrets, [reached(spec)])


def _recorded(world: KafkaConnectionWorld, judged: Acceptance[KafkaConnectionSpec]) -> Mapping[str, Any] | None:
    """Return what others may use: a new spec from when on its Secrets were seen, which may say where they may go."""
    wanted = needs.kafka_secrets(judged.spec) if judged.spec else ()
    if all(isinstance(world.secrets.get(name), SecretSeen) for name in wanted):
        return _usable(judged)
    return acceptance.recorded(world.resource)


def _usable(judged: Acceptance[KafkaConnectionSpec]) -> Mapping[str, Any] | None:
    """Return the record of what was accepted, but for a spec that can be read and is not in force: it is forbidden."""
    is_forbidden = judged.spec is None and accepted({"accepted": judged.accepted}) is not None
    return None if is_forbidden else judged.accepted


def _only_tuning(spec: KafkaConnectionSpec) -> Finding | None:
    return acceptance.only_tuning("properties", spec.properties)


def _reachable(world: KafkaConnectionWorld, spec: KafkaConnectionSpec | None) -> Finding:
    if spec is None:
        return unknown("Reachable", Reason.UNKNOWN, "No spec is in force, so no Kafka is asked.")
    missing = _absent(spec, world.secrets)
    if missing is not None:
        return missing
    if isinstance(world.cluster, ClusterSeen):
        return true(
            "Reachable", Reason.KAFKA_REACHABLE, f"Kafka answers; brokers that are up: {world.cluster.brokers}."
        )
    return false("Reachable", Reason.KAFKA_UNREACHABLE, world.cluster.reason)


def _absent(spec: KafkaConnectionSpec, secrets: Secrets) -> Finding | None:
    """Say which Secret, or which key of one, is missing: make it, or name another."""
    for name, key in needs.kafka_keys(spec):
        seen = secrets.get(name)
        if isinstance(seen, Absent):
            text = f"Secret {name} does not exist in this namespace: create it."
            return false("Reachable", Reason.SECRET_NOT_FOUND, text)
        if isinstance(seen, SecretSeen) and key not in seen.keys:
            text = f"Secret {name} has no key {key}: add it, or name another key."
            return false("Reachable", Reason.SECRET_KEY_MISSING, text)
    return None
