"""What to do about a Consumer: await its topics, make its own, run its code, scale it, and say how it is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace import names as kafka_names
from headrace_operator.api import secrets
from headrace_operator.api.consumer import ConsumerSpec, Source
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Children, Manifest, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConsumerWorld
from headrace_operator.plan import (
    acceptance,
    awaited,
    backlog,
    compensation,
    complaints,
    consumption,
    contracts,
    deduplication,
    group_protocol,
    inputs,
    marks,
    names,
    offsets,
    own_topics,
    pausing,
    pipeline,
    pod_secrets,
    pods,
    sources,
    stops,
    target,
    waiting_keys,
)
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Action, AlterTopic, Apply, CreateTopic, GrowTopic, Plan
from headrace_operator.plan.children import applies, own_deployment, taken
from headrace_operator.plan.conditions import Finding, dated, false, notes, timestamp, true, unknown, with_ready
from headrace_operator.plan.connectcluster import kafka_spec
from headrace_operator.plan.reasons import Reason
from headrace_operator.scaling.terms import Decision
from headrace_operator.settings import Settings

MEMORY = "template.resources.limits.memory"
NEEDED = frozenset({"Accepted", "TopicsReady", "OffsetsExist", "Deployed"})


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a Consumer asks for: its spec, its topics, and the ConfigMap for its pods, None while that is not known."""

    judged: Acceptance[ConsumerSpec]
    topics: tuple[str, ...]
    contract: Manifest | None


def wish(world: ConsumerWorld) -> Wish:
    """Return what a Consumer asks for by all that was seen but its children."""
    judged = _judged(world)
    topics = _topics(world, sources.read(judged))
    return Wish(judged=judged, topics=topics, contract=_contract(world, judged.spec, topics))


def plan(world: ConsumerWorld, settings: Settings, now: datetime, asked: Wish | None = None) -> Plan:
    """Return topics to make, objects that differ from what is wanted, and the status.

    What the world asks for is found out here, unless it was already, to look at what is there of it.
    """
    resource, asked = world.resource, asked or wish(world)
    judged, spec, topics = asked.judged, asked.judged.spec, asked.topics
    decision = _decision(world, spec, topics, now)
    replicas = _replicas(world, spec, topics, decision)
    actions: tuple[Action, ...] = ()
    if spec is not None and replicas is not None and _strange(world) is None:
        made = _objects(world, spec, asked.contract, replicas, settings)
        unused = contracts.removals(resource, world.contracts, asked.contract)
        actions = (*_creations(world, topics), *made, *_alterations(world, topics), *unused)
    actions = (*actions, *awaited.creations(world, spec, topics), *awaited.widened(world, topics))
    deployed = _deployed(world, spec, actions, now)
    found = [
        judged.finding,
        awaited.finding(world, spec, topics),
        *_kept(world, topics),
        *offsets.findings(resource, spec, world.backlog),
        *stops.findings(resource, spec, world.backlog),
        *waiting_keys.findings(resource, spec, world.backlog),
        *deduplication.findings(resource, spec, world.settings.of),
        *pausing.findings(resource, deployed),
        deployed,
        _consuming(world),
        target.healthy(world.backlog),
        *_figures(world, spec, decision),
    ]
    findings = with_ready(found, NEEDED, judged.stalled)
    previous = resource.status.get("conditions") or []
    conditions = dated(findings, previous, resource.generation, now)
    status = _status(world, topics, decision, now) | {"conditions": conditions, "accepted": judged.accepted}
    again = timedelta(seconds=5 if conditions[0]["status"] == "True" else 3)
    return Plan(actions=actions, status=status, notes=notes(previous, conditions), look_again=again)


def _judged(world: ConsumerWorld) -> Acceptance[ConsumerSpec]:
    resource = world.resource
    judged = sources.judge(
        resource,
        lambda spec: sources.abandoned(world, spec),
        lambda spec: compensation.loop(resource, spec, _topics(world, spec.source)),
        lambda spec: _sent_elsewhere(world, spec),
    )
    return acceptance.in_force_within(judged, lambda spec: _sent_elsewhere(world, spec))


def _topics(world: ConsumerWorld, source: Source | None) -> tuple[str, ...]:
    connector = world.connector if isinstance(world.connector, Resource) else None
    return () if source is None else sources.topics(source, connector)


def _partitions(world: ConsumerWorld, topics: tuple[str, ...]) -> int | None:
    if isinstance(world.topics, Unknown) or not topics or any(topic not in world.topics for topic in topics):
        return None
    return max(world.topics[topic].partitions for topic in topics)


def _decision(
    world: ConsumerWorld, spec: ConsumerSpec | None, topics: tuple[str, ...], now: datetime
) -> Decision | None:
    """Return how many replicas shall run; None keeps what was decided, as nothing runs yet, or for a while."""
    if spec is None or pausing.is_wanted(spec) or not _is_due(world, topics):
        return None
    allowed = backlog.limits(spec, _partitions(world, topics))
    return backlog.replicas(world, allowed, pods.rollout(_deployment(world))[1], now)


def _is_due(world: ConsumerWorld, topics: tuple[str, ...]) -> bool:
    """Tell whether there is anything to read, or was once."""
    return _partitions(world, topics) is not None or _deployment(world) is not None


def _replicas(
    world: ConsumerWorld, spec: ConsumerSpec | None, topics: tuple[str, ...], decision: Decision | None
) -> int | None:
    if pausing.is_wanted(spec):
        return 0 if _is_due(world, topics) else None
    return None if decision is None else decision.desired


def _own(world: ConsumerWorld, topics: tuple[str, ...]) -> tuple[own_topics.OwnTopic, ...]:
    if isinstance(world.topics, Unknown) or _partitions(world, topics) is None:
        return ()
    return own_topics.wanted(world.resource, topics, world.topics, world.settings.of)


def _creations(world: ConsumerWorld, topics: tuple[str, ...]) -> tuple[CreateTopic, ...]:
    own = _own(world, topics)
    if not own or isinstance(world.topics, Unknown) or not isinstance(world.kafka, Resource):
        return ()
    return own_topics.creations(own, world.topics, world.resource.namespace, world.kafka.name)


def _alterations(world: ConsumerWorld, topics: tuple[str, ...]) -> tuple[AlterTopic | GrowTopic, ...]:
    """Return what to mend, once after each look: a login that may not do it shall not slow down all else."""
    if not world.settings.fresh or isinstance(world.topics, Unknown) or not isinstance(world.kafka, Resource):
        return ()
    own, at = _own(world, topics), (world.resource.namespace, world.kafka.name)
    return (*own_topics.alterations(own, world.settings.of, *at), *own_topics.growths(own, world.topics, *at))


def _kept(world: ConsumerWorld, topics: tuple[str, ...]) -> list[Finding]:
    own = _own(world, topics)
    if not own or isinstance(world.topics, Unknown):
        return []
    found = own_topics.finding(own, topics, world.topics, world.settings.of)
    return [] if found is None else [found]


def _contract(world: ConsumerWorld, spec: ConsumerSpec | None, topics: tuple[str, ...]) -> Manifest | None:
    kafka = kafka_spec(world.kafka)
    if spec is None or kafka is None or not topics or isinstance(world.home, Unknown):
        return None
    resource = _grouped(world)
    config = consumption.configuration(resource, spec, kafka, group_protocol.chosen(world), topics, world.home)
    return consumption.config_map(resource, config)


def _objects(
    world: ConsumerWorld, spec: ConsumerSpec, document: Manifest | None, replicas: int, settings: Settings
) -> tuple[Action, ...]:
    kafka = kafka_spec(world.kafka)
    if kafka is None or document is None or not isinstance(world.children, Children) or isinstance(world.code, Absent):
        return ()
    if _unseen(world, spec) is not None:
        return ()
    read = inputs.of_consumer(spec.model_dump(by_alias=True, exclude_none=True))
    started_with = inputs.annotation(read, world.inputs, _deployment(world))
    wanted = consumption.Pods(replicas=replicas, started_with=started_with)
    made = consumption.manifests(_grouped(world), spec, kafka, document, wanted, settings)
    return applies(made, world.children)


def _grouped(world: ConsumerWorld) -> Resource:
    """Return the Consumer labelled with its pipeline."""
    labels = {**world.resource.labels, pipeline.LABEL: pipeline.of_consumer(world)}
    return dataclasses.replace(world.resource, labels=labels)


def _strange(world: ConsumerWorld) -> Finding | None:
    """Say what of this name is someone else's, so that nothing is made: an object, or the group."""
    return taken(world.resource, world.children) or marks.strange_group(world.resource, world.home, world.backlog)


def _deployment(world: ConsumerWorld) -> Manifest | None:
    return own_deployment(world.resource, names.consumer_child(world.resource.name), world.children)


def _deployed(world: ConsumerWorld, spec: ConsumerSpec | None, actions: tuple[Action, ...], now: datetime) -> Finding:
    if isinstance(world.children, Unknown):
        return unknown("Deployed", Reason.UNKNOWN, world.children.reason)
    if strange := _strange(world):
        return strange
    if isinstance(world.code, Absent):
        text = "The ConfigMap with the Python code does not exist in this namespace: create it, or name another."
        return false("Deployed", Reason.CODE_NOT_FOUND, text)
    if unseen := _unseen(world, spec):
        return unseen
    deployment = _deployment(world)
    if deployment is None:
        return false("Deployed", Reason.APPLYING, "The Deployment is not made yet.")
    rolled = _is_rolled(world, deployment, actions)
    if pausing.is_wanted(spec):
        return pausing.deployed(deployment, rolled=rolled)
    if short := complaints.shortage(deployment, world.children.pods, rolled=rolled, now=now, memory=MEMORY):
        return short
    return true("Deployed", Reason.DEPLOYED, "Pods run the accepted spec.")


def _sent_elsewhere(world: ConsumerWorld, spec: ConsumerSpec) -> Finding | None:
    """Say which Secret would be sent, or could be, where it may not go."""
    given = secrets.named(spec.template.model_dump(by_alias=True, exclude_none=True) if spec.template else {})
    return deduplication.only_to_hosts(spec, world.secrets) or acceptance.unbounded("template", given, world.secrets)


def _unseen(world: ConsumerWorld, spec: ConsumerSpec | None) -> Finding | None:
    """Say which Secret was not seen, or lacks a key: pods would wait for it, and where it may go is known before."""
    if isinstance(world.home, Unknown) and _deployment(world) is None:
        return unknown("Deployed", Reason.UNKNOWN, world.home.reason)
    keys = () if spec is None or pausing.is_wanted(spec) else deduplication.keys_of(spec)
    asked = [(name, key) for name, key in keys if name in world.secrets]
    return pod_secrets.unseen(asked, world.secrets, "add it, or name another key")


def _is_rolled(world: ConsumerWorld, deployment: Manifest, actions: tuple[Action, ...]) -> bool:
    """Tell whether every pod there is runs the latest template; more or fewer pods of it change nothing."""
    if any(isinstance(action, Apply) and not pods.has_template_of(action.manifest, deployment) for action in actions):
        return False
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return (world.resource.condition("Deployed") or {}).get("status") == "True"
    return bool(status.get("updatedReplicas", 0) == status.get("replicas", 0))


def _consuming(world: ConsumerWorld) -> Finding:
    if isinstance(world.backlog, Unknown):
        return unknown("Consuming", Reason.KAFKA_UNREACHABLE, world.backlog.reason)
    if any(part.committed is not None for part in world.backlog.partitions):
        return true("Consuming", Reason.CONSUMING, "The consumer group has committed offsets.")
    return false("Consuming", Reason.NO_COMMITS_YET, "The consumer group has not committed an offset yet.")


def _figures(world: ConsumerWorld, spec: ConsumerSpec | None, decision: Decision | None) -> list[Finding]:
    if spec is None or (decision is None and not pausing.is_wanted(spec)):
        return []
    scaling = true("ScalingActive", Reason.SCALING, "Replicas follow the backlog between min and max.")
    if pausing.is_wanted(spec):
        scaling = false("ScalingActive", Reason.PAUSED, "Nothing is scaled, as state: Paused wants.")
    return [backlog.within_target(world, backlog.limits(spec, None)), scaling]


def _status(world: ConsumerWorld, topics: tuple[str, ...], decision: Decision | None, now: datetime) -> dict[str, Any]:
    resource = world.resource
    place = (resource.place, resource.name)
    wanted, ready, _ = pods.rollout(_deployment(world))
    status: dict[str, Any] = {
        "observedGeneration": resource.generation,
        "pipeline": pipeline.of_consumer(world),
        "startTime": resource.status.get("startTime") or (timestamp(now) if wanted else None),
        "replicas": wanted,
        "readyReplicas": ready,
        "replicasReady": pods.counted(ready, wanted),
        "group": kafka_names.group(*place),
        "groupProtocol": group_protocol.chosen(world),
        "topics": list(topics),
        "retryTopic": kafka_names.retry_topic(*place),
    }
    if isinstance(world.children, Unknown):
        status |= {name: resource.status.get(name) for name in ("replicas", "readyReplicas", "replicasReady")}
    status["scaling"] = (
        resource.status.get("scaling") if decision is None else backlog.scaling_status(decision, world, now)
    )
    if isinstance(world.backlog, BacklogSeen):
        status["lag"] = backlog.lag_status(world.backlog, kafka_names.retry_topic(*place))
        status["deadLetters"] = {
            "topic": kafka_names.dead_letter_topic(*place),
            **backlog.dead_letters_status(world.backlog),
        }
    return status
