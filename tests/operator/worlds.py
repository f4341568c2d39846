"""Worlds for plan tests: a small shop with one of each kind, and a pure stand-in for what actions do to a world."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from headrace_operator.observed.connect import ConnectorSeen, LoggersSeen, TaskSeen, Validation, WorkersSeen
from headrace_operator.observed.kafka import BacklogSeen, Load, PartitionSeen, Rates, SettingsSeen, TopicSeen
from headrace_operator.observed.kube import Children, Resource, SecretSeen
from headrace_operator.observed.value import Absent
from headrace_operator.observed.world import (
    ConnectClusterWorld,
    ConnectorWorld,
    ConsumerWorld,
    OutboxRelayWorld,
    SnapshotWorld,
)
from headrace_operator.plan import names, rest
from headrace_operator.plan.actions import (
    Action,
    AlterTopic,
    Apply,
    CreateTopic,
    GrowTopic,
    Plan,
    PutConnector,
    Remove,
    RemoveConnector,
    SetLogLevel,
    SetState,
)
from headrace_operator.settings import Settings
from tests.fakes.connect_loggers import LOGGERS

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTINGS = Settings(
    namespace="headrace-system",
    watch_namespaces=("shop",),
    identity="operator-1",
    connect_image="connect:1",
    runtime_image="runtime:1",
    agent_image="agent:1",
)
MANIFESTS = """
apiVersion: headrace.dev/v1alpha1
kind: KafkaConnection
metadata: {name: kafka}
spec: {bootstrapServers: "127.0.0.1:1"}
---
apiVersion: headrace.dev/v1alpha1
kind: ConnectCluster
metadata: {name: main}
spec: {kafka: kafka, workers: {}}
"""
"""What a test applies that needs a ConnectCluster, of a Kafka where nobody is."""

BEHIND = Rates(
    arrivals=1200.0,
    handled=360.0,
    steady_seconds=600.0,
    loads=tuple(
        Load(
            number=number,
            arrivals=100.0,
            handled=30.0,
            waiting=9000,
            waited_before=8000,
            oldest=90.0,
            behind=60.0,
            failing=False,
        )
        for number in range(12)
    ),
)
"""A group that has been behind for long, in each of twelve partitions."""

World = TypeVar("World", ConsumerWorld, ConnectClusterWorld, ConnectorWorld, OutboxRelayWorld, SnapshotWorld)
TOPIC = "shop.orders-db.outbox.order"
HOME = "uid-of-shop"
"""The UID of namespace shop."""
MARKED = {"headrace.resource.uid": "x", "headrace.namespace.uid": HOME}
"""Of a connector that a resource of that namespace made, which is gone."""


def lost(name: str, **more: Any) -> dict[str, Any]:
    """Return what a ConnectCluster's world knows of a connector whose Connector is gone, and which has no offsets."""
    known: dict[str, Any] = {"name": name, "config": MARKED, "state": "STOPPED", "trace": None, "tasks": ()}
    seen = ConnectorSeen(**{**known, "offsets": (), **more})
    workers = WorkersSeen(version="4.3.1", kafka_cluster_id="k", plugins=(), connectors={name: seen})
    return {"workers": workers, "owners": {name: Absent()}, "orphans": {name: seen}}


class Place:
    """Says which namespace shop is, as the client of the API server does."""

    async def namespace_uid(self, _: str) -> str:
        """Return its UID."""
        return HOME

    async def known(self, kind: str, namespace: str) -> tuple[Resource, ...]:
        """Return those of a kind that are remembered: all that it lists."""
        listing: Any = self
        return tuple(await listing.resources(kind, namespace))


def resource(kind: str, name: str, spec: Mapping[str, Any], **more: Any) -> Resource:
    """Return a resource of namespace shop."""
    known: dict[str, Any] = {
        "kind": kind,
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "generation": 1,
        "resource_version": "1",
        "labels": {},
        "spec": spec,
        "status": {},
        "deleting": False,
    }
    return Resource(**{**known, **more})


def kafka(bootstrap_servers: str = "kafka.kafka:9092") -> Resource:
    """Return a KafkaConnection that is accepted."""
    spec = {"bootstrapServers": bootstrap_servers}
    return resource("KafkaConnection", "kafka", spec, status={"accepted": {"generation": 1, "spec": spec}})


KAFKA = kafka()
KAFKA_SPEC = KAFKA.spec
CONNECT = resource("ConnectCluster", "main", {"kafka": "kafka", "workers": {}})
CONNECTOR = resource(
    "Connector",
    "orders-db",
    {
        "connect": "main",
        "postgres": {"host": "shop-db", "database": "shop", "credentials": {"secret": "shop-db"}},
        "capture": {"outbox": {"table": "public.outbox"}},
    },
    labels={"headrace.dev/pipeline": "orders", "app.kubernetes.io/instance": "argo"},
)
CONSUMER = resource(
    "Consumer",
    "billing",
    {
        "from": {"connector": "orders-db", "routes": ["order"]},
        "handler": {"http": {"url": "http://billing:8080/events", "timeout": "10s"}},
        "scale": {"min": 1, "max": 4, "targetLagSeconds": 10},
    },
    labels={"app.kubernetes.io/instance": "argo", "kustomize.toolkit.fluxcd.io/name": "apps"},
)


OUTBOX_RELAY = resource(
    "OutboxRelay",
    "parcels",
    {
        "kafka": "kafka",
        "mariadb": {"host": "parcels-db", "database": "parcels", "credentials": {"secret": "parcels-db"}},
        "table": "outbox",
        "replicas": 2,
    },
    labels={"app.kubernetes.io/instance": "argo"},
)

SNAPSHOT = resource("Snapshot", "earlier", {"connector": "orders-db", "tables": ["public.outbox"]})


def consumer_world(**changes: Any) -> ConsumerWorld:
    """Return a Consumer whose topic exists and of which nothing is made yet."""
    partitions = tuple(
        PartitionSeen(topic=TOPIC, partition=number, start=0, end=10, committed=10, lag_seconds=None)
        for number in range(12)
    )
    known: dict[str, Any] = {
        "resource": CONSUMER,
        "connector": CONNECTOR,
        "connect": CONNECT,
        "kafka": KAFKA,
        "topics": {TOPIC: TopicSeen(name=TOPIC, partitions=12, replicas=3)},
        "settings": SettingsSeen(of={TOPIC: {"max.message.bytes": "1048588"}}, fresh=True),
        "backlog": BacklogSeen(at=NOW, partitions=partitions, dead_letters_total=0, dead_letters_outstanding=0),
        "rates": Rates(arrivals=0.0, handled=0.0),
        "code": None,
        "children": Children(objects={}),
        "home": HOME,
    }
    return ConsumerWorld(**{**known, **changes})


def connect_world(**changes: Any) -> ConnectClusterWorld:
    """Return a ConnectCluster with workers that answer and no objects yet."""
    known: dict[str, Any] = {
        "resource": CONNECT,
        "kafka": KAFKA,
        "connectors": (CONNECTOR,),
        "workers": WorkersSeen(version="4.3.1", kafka_cluster_id="k", plugins=(), connectors={}),
        "owners": {},
        "children": Children(objects={}),
        "home": HOME,
        "loggers": {"http://10.0.0.1:8083": LoggersSeen(levels=LOGGERS, untouched=True)},
    }
    return ConnectClusterWorld(**{**known, **changes})


def protected_world(spec: Mapping[str, Any], **edits: Any) -> ConnectClusterWorld:
    """Return a ConnectCluster of this spec, and the Secrets that its `rest` names, with the keys they must have."""
    cluster = dataclasses.replace(CONNECT, spec=spec, **edits)
    wanted = rest.keys(rest.in_force(cluster))
    seen = {name: SecretSeen(name=name, keys=frozenset(key for _, key in wanted)) for name, _ in wanted}
    return connect_world(resource=cluster, secrets=seen)


def connector_world(**changes: Any) -> ConnectorWorld:
    """Return a Connector that Connect would accept and does not have yet."""
    known: dict[str, Any] = {
        "resource": CONNECTOR,
        "connect": CONNECT,
        "secrets": {"shop-db": SecretSeen(name="shop-db", keys=frozenset({"username", "password"}))},
        "readable": frozenset({"shop-db"}),
        "seen": Absent(),
        "validation": Validation(errors=()),
        "home": HOME,
    }
    return ConnectorWorld(**{**known, **changes})


def outbox_relay_world(**changes: Any) -> OutboxRelayWorld:
    """Return an OutboxRelay whose Secret is there and of which nothing is made yet."""
    known: dict[str, Any] = {
        "resource": OUTBOX_RELAY,
        "kafka": KAFKA,
        "namesake": Absent(),
        "secrets": {"parcels-db": SecretSeen(name="parcels-db", keys=frozenset({"username", "password"}))},
        "children": Children(objects={}),
    }
    return OutboxRelayWorld(**{**known, **changes})


def rolled_out(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a live object looks like after it was applied: it has a UID, and a Deployment has become ready."""
    metadata = {"uid": f"uid-{manifest['kind']}-{manifest['metadata']['name']}", **manifest["metadata"]}
    if manifest["kind"] != "Deployment":
        return {**manifest, "metadata": metadata}
    replicas = manifest["spec"]["replicas"]
    status = {"observedGeneration": 1, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas}
    return {**manifest, "metadata": {**metadata, "generation": 1}, "status": status}


def with_status(world: World, status: Mapping[str, Any]) -> World:
    """Return the world after its status was recorded."""
    return dataclasses.replace(world, resource=dataclasses.replace(world.resource, status=status))


def applied(children: Children, actions: tuple[Action, ...]) -> Children:
    """Return the children after what was applied and removed."""
    gone = {(action.kind, action.name) for action in actions if isinstance(action, Remove)}
    left = {at: one for at, one in children.objects.items() if at not in gone}
    made = {
        (action.manifest["kind"], action.manifest["metadata"]["name"]): rolled_out(action.manifest)
        for action in actions
        if isinstance(action, Apply)
    }
    return dataclasses.replace(children, objects={**left, **made})


def after_consumer(world: ConsumerWorld, actions: tuple[Action, ...]) -> ConsumerWorld:
    """Return a Consumer's world after its actions."""
    assert isinstance(world.children, Children)
    assert isinstance(world.topics, Mapping)
    created = [action for action in actions if isinstance(action, CreateTopic)]
    topics = {
        action.topic: TopicSeen(name=action.topic, partitions=action.partitions, replicas=action.replicas)
        for action in created
    }
    known = {**world.settings.of, **{action.topic: action.config for action in created}}
    for action in actions:
        if isinstance(action, GrowTopic):
            topics[action.topic] = dataclasses.replace(world.topics[action.topic], partitions=action.partitions)
        if isinstance(action, AlterTopic):
            before = known[action.topic]
            assert isinstance(before, Mapping)
            known[action.topic] = {**before, **action.config}
    return dataclasses.replace(
        world,
        children=applied(world.children, actions),
        topics={**world.topics, **topics},
        settings=SettingsSeen(of=known, fresh=True),
    )


def after_outbox_relay(world: OutboxRelayWorld, actions: tuple[Action, ...]) -> OutboxRelayWorld:
    """Return an OutboxRelay's world after its actions."""
    assert isinstance(world.children, Children)
    return dataclasses.replace(world, children=applied(world.children, actions))


def after_connect(world: ConnectClusterWorld, actions: tuple[Action, ...]) -> ConnectClusterWorld:
    """Return a ConnectCluster's world after its actions."""
    assert isinstance(world.children, Children)
    assert isinstance(world.workers, WorkersSeen)
    removed = {action.connector for action in actions if isinstance(action, RemoveConnector)}
    left = {name: seen for name, seen in world.workers.connectors.items() if name not in removed}
    workers = dataclasses.replace(world.workers, connectors=left)
    orphans = {name: seen for name, seen in world.orphans.items() if name not in removed}
    ours = tuple(action for action in actions if _is_of_agent(world, action))
    rest = tuple(action for action in actions if action not in ours)
    agent = applied(world.agent, ours) if isinstance(world.agent, Children) else world.agent
    children, loggers = applied(world.children, rest), after_levels(world.loggers, actions)
    return dataclasses.replace(world, children=children, agent=agent, workers=workers, orphans=orphans, loggers=loggers)


def after_levels(loggers: Any, actions: tuple[Action, ...]) -> Any:
    """Return what workers tell of their loggers after levels were set, as Kafka Connect sets them."""
    for action in actions:
        if isinstance(action, SetLogLevel):
            before = loggers[action.url].levels
            below = {name: action.level for name in before if name.startswith(action.logger)}
            levels = {**before, **below, action.logger: action.level}
            loggers = {**loggers, action.url: LoggersSeen(levels=levels, untouched=False)}
    return loggers


def _is_of_agent(world: ConnectClusterWorld, action: Action) -> bool:
    """Tell whether an action is about an object of the source agent, which stand apart from the workers'."""
    name = names.agent_child(world.resource.name)
    if isinstance(action, Apply):
        return bool(action.manifest["metadata"]["name"] == name)
    return isinstance(action, Remove) and action.name == name


def after_connector(world: ConnectorWorld, actions: tuple[Action, ...]) -> ConnectorWorld:
    """Return a Connector's world after its actions."""
    for action in actions:
        if isinstance(action, PutConnector):
            task = TaskSeen(id=0, state="RUNNING", worker="10.0.0.1:8083", trace=None)
            state = world.seen.state if isinstance(world.seen, ConnectorSeen) else action.initial or "RUNNING"
            seen = ConnectorSeen(name=action.connector, config=action.config, state=state, trace=None, tasks=(task,))
            world = dataclasses.replace(world, seen=seen, validation=None)
        if isinstance(action, CreateTopic):
            left = tuple(one for one in world.captured.missing if one != action.topic)
            world = dataclasses.replace(world, captured=dataclasses.replace(world.captured, missing=left))
        if isinstance(action, AlterTopic):
            sizes = {**world.captured.sizes, action.topic: int(action.config["max.message.bytes"])}
            world = dataclasses.replace(world, captured=dataclasses.replace(world.captured, sizes=sizes))
        if isinstance(action, SetState) and isinstance(world.seen, ConnectorSeen):
            state = {"pause": "PAUSED", "stop": "STOPPED", "resume": "RUNNING"}[action.verb]
            world = dataclasses.replace(world, seen=dataclasses.replace(world.seen, state=state))
    return world


def condition(plan: Plan, kind: str) -> dict[str, Any]:
    """Return a condition of the status that ``plan`` records, empty when it has none."""
    return next((found for found in plan.status["conditions"] if found["type"] == kind), {})
