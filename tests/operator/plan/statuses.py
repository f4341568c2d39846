"""The statuses that plans write, each with what tools that wait shall conclude from it: one table for all that read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from headrace.outbox import Told
from headrace_operator.api.schema import API_VERSION
from headrace_operator.observed.connect import ConnectorSeen, FieldError, TaskSeen, Validation
from headrace_operator.observed.kafka import BacklogSeen, ClusterSeen, PartitionSeen
from headrace_operator.observed.kube import PodSeen, Resource
from headrace_operator.observed.snapshots import Notification, TopicsOfSnapshots
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import KafkaConnectionWorld
from headrace_operator.plan import connectcluster, connector, consumer, kafkaconnection, outboxrelay, snapshot
from headrace_operator.plan.actions import Plan
from tests.operator import snapshot_worlds, worlds

Seen = tuple[Resource, Plan]
PLANS: dict[str, Callable[..., Plan]] = {
    "KafkaConnection": kafkaconnection.plan,
    "ConnectCluster": connectcluster.plan,
    "Connector": connector.plan,
    "Consumer": consumer.plan,
    "OutboxRelay": outboxrelay.plan,
    "Snapshot": snapshot.plan,
}
ACTED: dict[str, Callable[..., Any]] = {
    "KafkaConnection": lambda world, actions: world,
    "ConnectCluster": worlds.after_connect,
    "Connector": worlds.after_connector,
    "Consumer": worlds.after_consumer,
    "OutboxRelay": worlds.after_outbox_relay,
    "Snapshot": snapshot_worlds.after,
}


def kafka_world() -> KafkaConnectionWorld:
    """Return a KafkaConnection whose Kafka answers."""
    return KafkaConnectionWorld(resource=worlds.KAFKA, secrets={}, cluster=ClusterSeen(cluster_id="k", brokers=3))


WORLDS: dict[str, Callable[[], Any]] = {
    "KafkaConnection": kafka_world,
    "ConnectCluster": worlds.connect_world,
    "Connector": worlds.connector_world,
    "Consumer": worlds.consumer_world,
    "OutboxRelay": worlds.outbox_relay_world,
    "Snapshot": snapshot_worlds.world,
}


def planned(world: Any) -> Plan:
    """Make the plan of a world, whichever kind it is of."""
    return PLANS[world.resource.kind](world, worlds.SETTINGS, worlds.NOW)


def acted(world: Any, plan: Plan, count: int | None = None) -> Any:
    """Return the world after the status was recorded and the first `count` actions (None: all) were done."""
    after = ACTED[world.resource.kind](world, plan.actions[:count])
    return worlds.with_status(after, plan.status)


def settled(kind: str) -> Any:
    """Return a world in which everything is made and nothing is left to do."""
    world = WORLDS[kind]()
    for _ in range(5):
        plan = planned(world)
        world = acted(world, plan)
        if not plan.actions and planned(world).status == plan.status:
            return world
    raise AssertionError(f"a {kind} does not settle")


def changed(world: Any, **changes: Any) -> Any:
    """Return the world with an edit (`spec`, `generation`) and other things seen."""
    edit = {name: changes.pop(name) for name in ("spec", "generation") if name in changes}
    return dataclasses.replace(world, resource=dataclasses.replace(world.resource, **edit), **changes)


def new(kind: str, **changes: Any) -> Seen:
    """Return a resource that was just made, and the plan of its first pass."""
    world = changed(WORLDS[kind](), **changes)
    return world.resource, planned(world)


def running(kind: str, **changes: Any) -> Seen:
    """Return a resource that ran before the changes, and the plan of the pass that sees them."""
    world = changed(settled(kind), **changes)
    return world.resource, planned(world)


def as_object(resource: Resource, status: Any) -> dict[str, Any]:
    """Return the object that the API server would hold."""
    metadata = {"name": resource.name, "namespace": resource.namespace, "generation": resource.generation}
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": dict(resource.spec),
        "status": dict(status),
    }


def connector_that(state: str, task: str = "RUNNING", spec: dict[str, Any] | None = None) -> dict[str, Any]:
    resource = worlds.CONNECTOR if spec is None else dataclasses.replace(worlds.CONNECTOR, spec=spec)
    seen = ConnectorSeen(
        name="shop.orders-db",
        config={**(connector.wanted(resource, worlds.HOME, cluster=worlds.CONNECT) or {}), "name": "shop.orders-db"},
        state=state,
        trace=None,
        tasks=(TaskSeen(id=0, state=task, worker="10.0.0.1:8083", trace="java.lang.Error: no slot"),),
        lag=3.2,
    )
    return {"seen": seen, "validation": None} | ({} if spec is None else {"spec": spec, "generation": 2})


def _gave_up() -> Seen:
    spec = {**worlds.CONNECTOR.spec, "restart": {"maxAttempts": 10}}
    world = changed(settled("Connector"), **connector_that("RUNNING", "FAILED", spec))
    restarts = {"attempts": 10, "lastTime": (worlds.NOW - timedelta(minutes=9)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    world = worlds.with_status(world, {**world.resource.status, "observedGeneration": 2, "restarts": restarts})
    return world.resource, planned(world)


def _restarted() -> Seen:
    world = changed(settled("Connector"), **connector_that("RUNNING"))
    last = (worlds.NOW - timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    restarts = {"attempts": 1, "lastTime": last, "reason": "Task 0 failed: no slot"}
    world = worlds.with_status(world, {**world.resource.status, "restarts": restarts})
    return world.resource, planned(world)


def _failing_pods() -> Seen:
    spec = {**worlds.CONSUMER.spec, "delivery": {"concurrency": 3}}
    pod = PodSeen(
        name="billing-consumer-1",
        phase="Pending",
        ready=False,
        restarts=0,
        waiting_reason="ImagePullBackOff",
        message="no such image",
    )
    children = dataclasses.replace(settled("Consumer").children, pods=(pod,))
    return running("Consumer", spec=spec, generation=2, children=children)


def _paused() -> Seen:
    world = changed(settled("Consumer"), spec={**worlds.CONSUMER.spec, "state": "Paused"}, generation=2)
    world = acted(world, planned(world))
    return world.resource, planned(world)


def _snapshotting(*told: Notification) -> Seen:
    """Return a Snapshot that its connector was asked for, and has told so of."""
    world = snapshot_worlds.world()
    world = worlds.with_status(world, planned(world).status)
    topics = TopicsOfSnapshots(signals_end=4, notifications_end=6, notifications=told, read=6)
    world = dataclasses.replace(world, topics=topics)
    return world.resource, planned(world)


UNCAPTURED = {**worlds.SNAPSHOT.spec, "tables": ["public.nothing"]}
BAD: dict[str, Any] = {"spec": {"nonsense": True}, "generation": 2}
REFUSED = Validation(errors=(FieldError(field="tasks.max", message="not a number"),))
SILENT = Unknown(reason="GET http://x: no answer within 5 s")
PAUSED = {**worlds.CONNECTOR.spec, "state": "Paused"}
PAUSED_CONSUMER = {**worlds.CONSUMER.spec, "state": "Paused"}
EDITED = {**worlds.CONNECTOR.spec, "config": {"poll.interval.ms": "100"}}
ACCEPTS = Validation(errors=())
BEHIND = BacklogSeen(
    at=worlds.NOW,
    partitions=(
        PartitionSeen(topic=worlds.TOPIC, partition=0, start=0, end=1_250_000, committed=10, lag_seconds=86399.0),
    ),
    dead_letters_total=12000,
    dead_letters_outstanding=11999,
)
FAILED_ROWS = Told(pending=12, failed=3, oldest=1.2)
AWAY = Told(database="could not read outbox in parcels at parcels-db:3306: access denied (1045)")
WAITING = Told(
    rows="rows wait for 1 topics; topic shop.parcels.outbox.a: it does not exist", pending=9, failed=0, oldest=70
)
BURST = {"rates": worlds.BEHIND}
LOGIN = {**worlds.KAFKA_SPEC, "sasl": {"mechanism": "PLAIN", "credentials": {"secret": "login"}}}
CASES: tuple[tuple[str, Seen, str], ...] = (
    ("a KafkaConnection that answers", new("KafkaConnection"), "Current"),
    ("a KafkaConnection that is silent", new("KafkaConnection", cluster=SILENT), "InProgress"),
    (
        "a KafkaConnection without its Secret",
        new("KafkaConnection", spec=LOGIN, secrets={"login": Absent()}),
        "InProgress",
    ),
    ("a KafkaConnection that fell silent", running("KafkaConnection", cluster=SILENT), "InProgress"),
    ("a KafkaConnection with a bad edit", running("KafkaConnection", **BAD), "Failed"),
    ("a new Consumer", new("Consumer"), "InProgress"),
    ("a Consumer that runs", running("Consumer"), "Current"),
    ("a Consumer without its topic", new("Consumer", topics={}), "InProgress"),
    ("a Consumer without its Connector", new("Consumer", connector=Absent(), connect=None), "InProgress"),
    ("a Consumer without its KafkaConnection", new("Consumer", kafka=Absent()), "InProgress"),
    ("a Consumer while Kafka is silent", new("Consumer", topics=SILENT, backlog=SILENT), "InProgress"),
    ("a Consumer without its code", new("Consumer", code=Absent()), "InProgress"),
    ("a Consumer while objects cannot be read", new("Consumer", children=SILENT), "InProgress"),
    ("a new Consumer with a bad spec", new("Consumer", **BAD), "Failed"),
    ("a Consumer with a bad edit", running("Consumer", **BAD), "Failed"),
    ("a Consumer whose figures are missing", running("Consumer", backlog=SILENT), "Current"),
    ("a Consumer with a burst", running("Consumer", **BURST), "Current"),
    ("a Consumer that lags and has dead letters", running("Consumer", backlog=BEHIND), "Current"),
    ("a Consumer whose pods fail", _failing_pods(), "InProgress"),
    ("a Consumer that shall pause", running("Consumer", spec=PAUSED_CONSUMER, generation=2), "InProgress"),
    ("a Consumer that is paused", _paused(), "Current"),
    ("a new OutboxRelay", new("OutboxRelay"), "InProgress"),
    ("an OutboxRelay that runs", running("OutboxRelay"), "Current"),
    ("an OutboxRelay with failed rows", running("OutboxRelay", told=(FAILED_ROWS,)), "Current"),
    ("an OutboxRelay whose database is away", running("OutboxRelay", told=(AWAY,)), "InProgress"),
    ("an OutboxRelay whose rows wait for a topic", running("OutboxRelay", told=(WAITING,)), "InProgress"),
    ("an OutboxRelay whose pods are silent", running("OutboxRelay", told=(SILENT,)), "Current"),
    ("an OutboxRelay without its KafkaConnection", new("OutboxRelay", kafka=Absent()), "InProgress"),
    ("an OutboxRelay without its Secret", new("OutboxRelay", secrets={"parcels-db": Absent()}), "InProgress"),
    ("an OutboxRelay while objects cannot be read", new("OutboxRelay", children=SILENT), "InProgress"),
    ("a new OutboxRelay with a bad spec", new("OutboxRelay", **BAD), "Failed"),
    ("an OutboxRelay with a bad edit", running("OutboxRelay", **BAD), "Failed"),
    ("an OutboxRelay beside its Connector", new("OutboxRelay", namesake=worlds.CONNECTOR), "Failed"),
    ("a new Snapshot", new("Snapshot"), "InProgress"),
    ("a Snapshot that runs", _snapshotting(snapshot_worlds.notification("STARTED")), "InProgress"),
    ("a Snapshot that rests", _snapshotting(snapshot_worlds.notification("PAUSED")), "InProgress"),
    ("a Snapshot that is completed", running("Snapshot"), "Current"),
    ("a Snapshot that was stopped", _snapshotting(snapshot_worlds.notification("ABORTED")), "Failed"),
    ("a Snapshot while Kafka is silent", new("Snapshot", topics=SILENT), "InProgress"),
    ("a Snapshot without its Connector", new("Snapshot", connector=Absent()), "InProgress"),
    ("a Snapshot of a table that is not captured", new("Snapshot", spec=UNCAPTURED), "Failed"),
    ("a new Snapshot with a bad spec", new("Snapshot", **BAD), "Failed"),
    ("a new Connector", new("Connector"), "InProgress"),
    ("a Connector that runs", running("Connector"), "Current"),
    (
        "a Connector that is paused, as wanted",
        running("Connector", **connector_that("PAUSED", spec=PAUSED)),
        "Current",
    ),
    ("a Connector that shall pause", running("Connector", **connector_that("RUNNING", spec=PAUSED)), "InProgress"),
    ("a Connector with an edit", running("Connector", spec=EDITED, generation=2, validation=ACCEPTS), "InProgress"),
    ("a Connector whose task failed", running("Connector", **connector_that("RUNNING", "FAILED")), "InProgress"),
    ("a Connector whose task was just restarted", _restarted(), "InProgress"),
    ("a Connector whose task fails for good", _gave_up(), "Failed"),
    ("a Connector that Connect refuses", new("Connector", validation=REFUSED), "Failed"),
    ("a Connector whose edit Connect refuses", running("Connector", validation=REFUSED), "Failed"),
    ("a Connector while Connect is silent", new("Connector", seen=SILENT, validation=None), "InProgress"),
    ("a Connector without its ConnectCluster", new("Connector", connect=Absent(), seen=SILENT), "InProgress"),
    ("a Connector without its Secret", new("Connector", secrets={"shop-db": Absent()}), "InProgress"),
    ("a Connector with a bad edit", running("Connector", **BAD), "Failed"),
    ("a new ConnectCluster", new("ConnectCluster"), "InProgress"),
    ("a ConnectCluster that runs", running("ConnectCluster"), "Current"),
    ("a ConnectCluster without its KafkaConnection", new("ConnectCluster", kafka=Absent()), "InProgress"),
    ("a ConnectCluster that is silent", running("ConnectCluster", workers=SILENT), "InProgress"),
    ("a ConnectCluster with a bad edit", running("ConnectCluster", **BAD), "Failed"),
)
NAMES = tuple(case[0] for case in CASES)
