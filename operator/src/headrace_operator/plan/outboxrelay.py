"""What to do about an OutboxRelay: run its pods, and say how they are. It opens no database."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api import addresses, secrets
from headrace_operator.api.outboxrelay import OutboxRelaySpec
from headrace_operator.observed.kube import Children, Manifest, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import OutboxRelayWorld, Reference, Secrets
from headrace_operator.plan import (
    acceptance,
    complaints,
    connectcluster,
    contracts,
    inputs,
    names,
    needs,
    pipeline,
    pod_secrets,
    pods,
    publishing,
    relaying,
)
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Action, Plan
from headrace_operator.plan.children import applies, own_deployment, taken
from headrace_operator.plan.conditions import Finding, dated, false, notes, true, unknown, with_ready
from headrace_operator.plan.reasons import Reason
from headrace_operator.settings import Settings

MEMORY = "template.resources.limits.memory"
NEEDED = frozenset({"Accepted", "KafkaKnown", "Deployed"})
"""And `Publishing` while it is known not to be so: what pods do not tell, their readiness does."""

NONE_SEEN: Secrets = {}


def plan(world: OutboxRelayWorld, settings: Settings, now: datetime) -> Plan:
    """Return the relay's objects that differ from what is wanted, and the status."""
    resource = world.resource
    judged = judge(resource, world.secrets, world.namesake)
    actions: tuple[Action, ...] = ()
    if judged.spec is not None and taken(resource, world.children) is None:
        actions = _objects(world, judged.spec, settings)
        actions += contracts.removals(resource, world.contracts, contract(world))
    told = publishing.findings(resource, world.told)
    stands = any((one.type, one.status) == (publishing.PUBLISHING, "False") for one in told)
    found = [
        judged.finding,
        connectcluster.kafka_known(resource, world.kafka),
        *told,
        _deployed(world, judged.spec, actions, now),
    ]
    needed = NEEDED | {publishing.PUBLISHING} if stands else NEEDED
    findings = with_ready(found, needed, judged.stalled)
    previous = resource.status.get("conditions") or []
    conditions = dated(findings, previous, resource.generation, now)
    status = _status(world, judged.spec) | {"conditions": conditions, "accepted": judged.accepted}
    again = timedelta(seconds=20 if conditions[0]["status"] == "True" else 3)
    return Plan(actions=actions, status=status, notes=notes(previous, conditions), look_again=again)


def judge(resource: Resource, seen: Secrets = NONE_SEEN, namesake: Reference = Absent()) -> Acceptance[OutboxRelaySpec]:
    """Return which spec of an OutboxRelay is in force, by where its Secrets may go as far as they were `seen`.

    `namesake` is the Connector of its name.
    """

    def sent_elsewhere(spec: OutboxRelaySpec) -> Finding | None:
        given = secrets.named(spec.template.model_dump(by_alias=True, exclude_none=True) if spec.template else {})
        at = [_address(spec)]
        logins = (name for name, _ in needs.database_keys(spec.database))
        return acceptance.only_to_hosts(logins, seen, at) or acceptance.unbounded("template", given, seen)

    judged = acceptance.judge(
        OutboxRelaySpec,
        resource,
        lambda spec: acceptance.no_login(f"{spec.database_field}.host", spec.database.host, "@"),
        lambda spec: acceptance.address(f"{spec.database_field}.host", spec.database.host, addresses.HOST),
        lambda spec: _shares_topics(resource, spec, namesake),
        sent_elsewhere,
    )
    return acceptance.in_force_within(judged, sent_elsewhere)


def contract(world: OutboxRelayWorld) -> Manifest | None:
    """Return the ConfigMap that pods shall be made with; None while it is not known."""
    spec, kafka = judge(world.resource, world.secrets, world.namesake).spec, connectcluster.kafka_spec(world.kafka)
    return None if spec is None or kafka is None else relaying.config_map(_grouped(world.resource), spec, kafka)


def _shares_topics(resource: Resource, spec: OutboxRelaySpec, namesake: Reference) -> Finding | None:
    """Say that the Connector of this name writes to topics that begin as this relay's: nobody could tell them apart."""
    if spec.topic_prefix is not None or not isinstance(namesake, Resource):
        return None
    text = (
        f"Connector {resource.name} writes to topics that begin with "
        f"{relaying.topic_prefix(resource, spec).removesuffix('outbox.')}, too: give this OutboxRelay another name or "
        "a topicPrefix, or delete the one of the two that the other replaces."
    )
    return false("Accepted", Reason.NAME_TAKEN, text)


def _address(spec: OutboxRelaySpec) -> str:
    host = spec.database.host
    return f"[{host}]:{relaying.port(spec)}" if ":" in host else f"{host}:{relaying.port(spec)}"


def _objects(world: OutboxRelayWorld, spec: OutboxRelaySpec, settings: Settings) -> tuple[Action, ...]:
    kafka, document = connectcluster.kafka_spec(world.kafka), contract(world)
    if kafka is None or document is None or not isinstance(world.children, Children):
        return ()
    if _unseen(spec, world.secrets) is not None:
        return ()
    read = inputs.of_relay(spec.model_dump(by_alias=True, exclude_none=True))
    started_with = inputs.annotation(read, world.inputs, _deployment(world))
    made = relaying.Pods(document=document, kafka=kafka, started_with=started_with)
    return applies(relaying.manifests(_grouped(world.resource), spec, made, settings), world.children)


def _grouped(resource: Resource) -> Resource:
    """Return the relay labelled with its pipeline."""
    return dataclasses.replace(resource, labels={**resource.labels, pipeline.LABEL: pipeline.of_itself(resource)})


def _deployment(world: OutboxRelayWorld) -> Manifest | None:
    return own_deployment(world.resource, names.relay_child(world.resource.name), world.children)


def _unseen(spec: OutboxRelaySpec, seen: Secrets) -> Finding | None:
    """Say which Secret of the database was not seen, or lacks a key: pods would wait for it, and not say so."""
    return pod_secrets.unseen(needs.database_keys(spec.database), seen, "add it, or name another key")


def _deployed(
    world: OutboxRelayWorld, spec: OutboxRelaySpec | None, actions: tuple[Action, ...], now: datetime
) -> Finding:
    if isinstance(world.children, Unknown):
        return unknown("Deployed", Reason.UNKNOWN, world.children.reason)
    stands_in_the_way = taken(world.resource, world.children) or (spec and _unseen(spec, world.secrets))
    if stands_in_the_way:
        return stands_in_the_way
    deployment = _deployment(world)
    if deployment is None:
        return false("Deployed", Reason.APPLYING, "The Deployment is not made yet.")
    wanted, ready, rolled = pods.rollout(deployment)
    if short := complaints.shortage(deployment, world.children.pods, rolled=rolled, now=now, memory=MEMORY):
        return short
    if actions or not rolled or ready < wanted:
        return false("Deployed", Reason.ROLLING_OUT, f"{ready} of {wanted} pods are ready.")
    return true("Deployed", Reason.DEPLOYED, "Pods run the accepted spec.")


def _status(world: OutboxRelayWorld, spec: OutboxRelaySpec | None) -> dict[str, Any]:
    resource = world.resource
    wanted, ready, _ = pods.rollout(_deployment(world))
    status: dict[str, Any] = {
        "observedGeneration": resource.generation,
        "pipeline": pipeline.of_itself(resource),
        "topicPrefix": relaying.topic_prefix(resource, spec) if spec else resource.status.get("topicPrefix"),
        "replicas": wanted,
        "readyReplicas": ready,
        "replicasReady": pods.counted(ready, wanted),
        **publishing.figures(world.told),
    }
    if isinstance(world.children, Unknown):
        status |= {name: resource.status.get(name) for name in ("replicas", "readyReplicas", "replicasReady")}
    return status
