"""What to do about a ConnectCluster: run the workers, give them their rights, and remove connectors nobody wants."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api import addresses
from headrace_operator.api import properties as raw
from headrace_operator.api import secrets as api_secrets
from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, accepted
from headrace_operator.observed.connect import ConnectorSeen, WorkersSeen
from headrace_operator.observed.kube import Children, Manifest, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectClusterWorld, Reference, Secrets
from headrace_operator.plan import (
    acceptance,
    agent,
    complaints,
    connector,
    contracts,
    declared,
    exactly_once,
    external,
    inputs,
    leaving,
    log_levels,
    marks,
    names,
    needs,
    pods,
    rest,
    workers,
)
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Action, Plan
from headrace_operator.plan.children import applies, own_deployment, taken
from headrace_operator.plan.conditions import Finding, dated, false, notes, true, unknown, with_ready
from headrace_operator.plan.leaving import Gone
from headrace_operator.plan.reasons import Reason
from headrace_operator.settings import Settings

MEMORY = "workers.resources.limits.memory"
NEEDED = frozenset({"Accepted", "KafkaKnown", "Deployed", "Answering"})
OF_DEFAULTS = (
    acceptance.no_passwords,
    acceptance.no_references,
    acceptance.no_identity,
    acceptance.none_of_one,
    acceptance.no_kafka,
    acceptance.no_code,
    acceptance.nowhere_local,
)


def plan(world: ConnectClusterWorld, settings: Settings, now: datetime) -> Plan:
    """Return the workers' objects that differ from what is wanted, connectors to remove, and the status."""
    resource = world.resource
    judged = judge(resource, world.secrets)
    kafka = kafka_spec(world.kafka)
    ready = external.is_meant(resource) or pods.rollout(_deployment(world))[1] > 0
    is_ours = taken(resource, world.children) is None
    gone = _gone(world) if ready and is_ours else {}
    readable = agent.mounted(world) if external.is_meant(resource) else leaving.still_read(gone, _role(world))
    children = _children(world, judged.spec, kafka, readable, settings)
    before = tuple(resource.status.get("leaving") or ())
    leaves = leaving.decide(gone, before, world.databases, rest.url(resource), now)
    left = declared.left(resource, leaves.dropping, world.sources, readable)
    beside = agent.actions(world, judged.spec, settings, left)
    unused = contracts.removals(resource, world.contracts, contract(world)) if is_ours else ()
    found = [judged.finding, kafka_known(resource, world.kafka), *_workers(world, judged.spec, bool(children), now)]
    levels = log_levels.decide(judged.spec, world.loggers, resource.status.get("logLevelsAtStart") or {})
    deployed = agent.deployed(world, judged.spec, settings.agent_image, bool(beside), now)
    found += filter(None, [deployed, levels.finding])
    findings = with_ready(found, NEEDED & {one.type for one in found}, judged.stalled)
    previous = resource.status.get("conditions") or []
    conditions = dated(findings, previous, resource.generation, now)
    status = _status(world, conditions) | {"accepted": judged.accepted, "exactlyOnce": _once(world, judged.spec)}
    is_ready = conditions[0]["status"] == "True"
    again = timedelta(seconds=20 if is_ready and not leaves.records and not levels.actions else 3)
    status |= {"agentReady": agent.ready(world, judged.spec), "leaving": list(leaves.records) or None}
    status |= {"logLevelsAtStart": dict(levels.at_start) or None}
    actions = (*children, *unused, *beside, *leaves.actions, *levels.actions)
    return Plan(actions=actions, status=status, notes=(*notes(previous, conditions), *leaves.notes), look_again=again)


def contract(world: ConnectClusterWorld) -> Manifest | None:
    """Return the ConfigMap that workers shall be made with; None while it is not known."""
    spec, kafka = judge(world.resource, world.secrets).spec, kafka_spec(world.kafka)
    if spec is None or spec.workers is None or kafka is None:
        return None
    at = exactly_once.step(spec, _deployment(world))
    return workers.config_map(world.resource, exactly_once.laid_over(spec, at), kafka)


def judge(resource: Resource, secrets: Secrets | None = None) -> Acceptance[ConnectClusterSpec]:
    """Return which spec of a ConnectCluster is in force, by where ``secrets`` may go as far as they were seen."""

    def sent_elsewhere(spec: ConnectClusterSpec) -> Finding | None:
        given = {"workers.template": spec.own.template, "agent.template": spec.agent and spec.agent.template}
        for field, template in given.items():
            named = api_secrets.named(template.model_dump(by_alias=True, exclude_none=True) if template else {})
            if (refused := acceptance.unbounded(field, named, secrets or {})) is not None:
                return refused
        return rest.only_to_hosts(resource, spec, secrets or {})

    judged = acceptance.judge(
        ConnectClusterSpec,
        resource,
        lambda spec: acceptance.no_passwords("workers.config", spec.own.config),
        lambda spec: acceptance.not_the_workers("workers.config", spec.own.config),
        lambda spec: acceptance.plain_lines("workers.config", spec.own.config),
        lambda spec: acceptance.no_stray_references(
            "workers.config", spec.own.config, raw.WORKER_SECRETS, resource.namespace
        ),
        lambda spec: acceptance.no_code("workers.config", spec.own.config),
        lambda spec: acceptance.nowhere_local("workers.config", spec.own.config),
        lambda spec: acceptance.no_login_in_image("workers.image", spec.own.image),
        lambda spec: acceptance.address("external.url", spec.external and spec.external.url, addresses.CONNECT),
        lambda spec: external.moved(resource, spec),
        _defaults,
        sent_elsewhere,
    )
    return acceptance.in_force_within(judged, sent_elsewhere)


def in_force(resource: Resource) -> Resource:
    """Return a ConnectCluster as its own pass leaves it, with what that accepts; its status may be older."""
    return dataclasses.replace(resource, status={**resource.status, "accepted": judge(resource).accepted})


def _defaults(spec: ConnectClusterSpec) -> Finding | None:
    """Say which property no default may be: they are judged as a Connector's own, and some are each one's own."""
    given = spec.connector_defaults.postgres if spec.connector_defaults else None
    found = (check("connectorDefaults.postgres", given) for check in OF_DEFAULTS)
    return next((one for one in found if one), None)


def kafka_spec(kafka: Reference) -> KafkaConnectionSpec | None:
    """Return the spec of a KafkaConnection that is in force."""
    return accepted(kafka.status) if isinstance(kafka, Resource) else None


def _children(
    world: ConnectClusterWorld,
    spec: ConnectClusterSpec | None,
    kafka: KafkaConnectionSpec | None,
    still_read: tuple[str, ...],
    settings: Settings,
) -> tuple[Action, ...]:
    if spec is None or spec.workers is None or kafka is None or not isinstance(world.children, Children):
        return ()
    if not isinstance(world.connectors, tuple) or taken(world.resource, world.children):
        return ()
    if rest.unseen(spec.rest, world.secrets):
        return ()
    secrets = [
        *needs.kafka_secrets(kafka),
        *(
            secret
            for one in world.connectors
            if one.spec.get("connect") == world.resource.name
            for secret in _secrets(one)
        ),
        *still_read,
    ]
    read = inputs.of_workers(spec.model_dump(by_alias=True, exclude_none=True), kafka)
    at = exactly_once.step(spec, _deployment(world))
    started_with = inputs.annotation(read, world.inputs, _deployment(world)) | exactly_once.annotation(at)
    made = workers.manifests(world.resource, exactly_once.laid_over(spec, at), kafka, secrets, settings, started_with)
    return applies(made, world.children)


def _secrets(resource: Resource) -> tuple[str, ...]:
    """Return the Secrets of a Connector's accepted spec, and of the written one unless we refuse that ourselves.

    Kafka Connect cannot be asked about the written one before its workers may read them.
    """
    accepted = (resource.status.get("accepted") or {}).get("spec") or {}
    is_refused = connector.judge(resource).problem is not None or _is_sent_elsewhere(resource)
    written = () if is_refused else needs.connector_secrets(resource.spec)
    return (*written, *needs.connector_secrets(accepted))


def _is_sent_elsewhere(resource: Resource) -> bool:
    """Tell whether a Connector's own pass, which reads its Secrets, refused the spec as written because of one."""
    said = resource.condition("Accepted") or {}
    return (said.get("reason"), said.get("observedGeneration")) == (Reason.HOST_NOT_ALLOWED, resource.generation)


def _gone(world: ConnectClusterWorld) -> Gone:
    """Return the connectors whose very resource was read and is gone, is another one, or belongs to other workers now.

    Only those leave that were made in this very namespace, as the mark on them says.
    """
    return {
        name: one
        for name, one in world.orphans.items()
        if not isinstance(one, ConnectorSeen)
        or (marks.is_at(one.config, world.home) and _lets_go(world.owners[name], one, world.resource))
    }


def _lets_go(owner: Reference, seen: ConnectorSeen, cluster: Resource) -> bool:
    if isinstance(owner, Resource):
        elsewhere = owner.spec.get("connect") != cluster.name
        if elsewhere and external.is_meant(cluster):  # perhaps by another ConnectCluster of the same Kafka Connect
            return seen.config.get(marks.RESOURCE) != owner.uid
        return elsewhere or marks.is_left(seen.config, owner)
    return isinstance(owner, Absent)


def _role(world: ConnectClusterWorld) -> Manifest | None:
    objects = world.children.objects if isinstance(world.children, Children) else {}
    return objects.get(("Role", names.connect_child(world.resource.name)))


def _deployment(world: ConnectClusterWorld) -> Manifest | None:
    return own_deployment(world.resource, names.connect_child(world.resource.name), world.children)


def kafka_known(resource: Resource, kafka: Reference) -> Finding:
    """Say whether the KafkaConnection that a spec names exists, and may be used."""
    name = resource.spec.get("kafka")
    match kafka:
        case Resource():
            return true("KafkaKnown", Reason.READY, f"KafkaConnection {name} exists.")
        case Absent():
            return false("KafkaKnown", Reason.KAFKA_NOT_FOUND, f"KafkaConnection {name} does not exist: create it.")
        case Unknown(reason=reason):
            return unknown("KafkaKnown", Reason.UNKNOWN, reason)


def _workers(
    world: ConnectClusterWorld, spec: ConnectClusterSpec | None, changing: bool, now: datetime
) -> tuple[Finding, ...]:
    """Say how the workers are; of those that others run only what they answer."""
    if external.is_meant(world.resource):
        return (_answering(world, spec),)
    protected = spec.rest if spec else None
    return rest.unseen(protected, world.secrets) or _deployed(world, changing, now), _answering(world, spec)


def _deployed(world: ConnectClusterWorld, changing: bool, now: datetime) -> Finding:
    for seen in (world.children, world.connectors):
        if isinstance(seen, Unknown):
            return unknown("Deployed", Reason.UNKNOWN, seen.reason)
    if strange := taken(world.resource, world.children):
        return strange
    deployment = _deployment(world)
    if deployment is None:
        return false("Deployed", Reason.APPLYING, "The Deployment is not made yet.")
    wanted, ready, rolled = pods.rollout(deployment)
    seen_pods = world.children.pods if isinstance(world.children, Children) else ()
    if short := complaints.shortage(deployment, seen_pods, rolled=rolled, now=now, memory=MEMORY):
        return short
    if changing or not rolled or ready < wanted:
        return false("Deployed", Reason.ROLLING_OUT, f"{ready} of {wanted} workers are ready.")
    return true("Deployed", Reason.DEPLOYED, f"All workers are ready: {wanted}.")


def _answering(world: ConnectClusterWorld, spec: ConnectClusterSpec | None) -> Finding:
    if isinstance(world.workers, WorkersSeen):
        outside = spec and spec.external
        if outside and (unfit := external.unfit(world.resource, outside, world.workers, world.kafka)):
            return unfit
        advice = external.advice(world.workers) if outside else ""
        return true("Answering", Reason.CONNECT_ANSWERS, f"Kafka Connect {world.workers.version} answers.{advice}")
    return false("Answering", Reason.CONNECT_UNREACHABLE, world.workers.reason)


def _status(world: ConnectClusterWorld, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    status: dict[str, Any] = {"observedGeneration": world.resource.generation, "conditions": conditions}
    if not external.is_meant(world.resource):
        status |= _own_workers(world)
    if isinstance(world.workers, WorkersSeen):
        told = {"version": world.workers.version, "plugins": external.listed(world.workers)}
        status |= {**told, "unmanagedConnectors": _unmanaged(world)}
    return status


def _own_workers(world: ConnectClusterWorld) -> dict[str, Any]:
    """Return what a status has of workers that Headrace runs."""
    wanted, ready, _ = pods.rollout(_deployment(world))
    counts = {"replicas": wanted, "readyReplicas": ready, "replicasReady": pods.counted(ready, wanted)}
    if isinstance(world.children, Unknown):
        counts = {name: world.resource.status.get(name) for name in counts}
    group = names.connect_group(world.resource.place, world.resource.name)
    return {"group": group, "plugins": world.resource.status.get("plugins"), **counts}


def _once(world: ConnectClusterWorld, spec: ConnectClusterSpec | None) -> str | None:
    """Say how far workers are with exactly-once; while they are not known, what was said before."""
    if isinstance(world.children, Unknown):
        return world.resource.status.get("exactlyOnce")
    return exactly_once.told(spec, _deployment(world))


def _unmanaged(world: ConnectClusterWorld) -> list[str]:
    """Return the connectors that no Connector of this namespace has made, or is to go on with; else as last told."""
    if isinstance(world.home, Unknown) or isinstance(world.connectors, Unknown):
        return list(world.resource.status.get("unmanagedConnectors") or ())
    seen = world.workers.connectors if isinstance(world.workers, WorkersSeen) else {}
    owners = {names.connector(one.place, one.name): one for one in world.connectors}
    return sorted(
        name
        for name, one in seen.items()
        if not marks.is_at(one.config, world.home)
        and not (name in owners and marks.is_for(one.config, owners[name], world.home))
    )
