"""The plan of a resource without a cluster: Secrets, ConfigMaps and topics are there, Kafka and Connect answer.

So a first pass is shown as it goes when all is well. Other resources that it names are absent unless they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from headrace_operator.observed.connect import Validation, WorkersSeen
from headrace_operator.observed.kafka import BacklogSeen, ClusterSeen, PartitionSeen, Rates, SettingsSeen, TopicSeen
from headrace_operator.observed.kube import Children, Resource, SecretSeen
from headrace_operator.observed.snapshots import TopicsOfSnapshots
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import (
    ConnectClusterWorld,
    ConnectorWorld,
    ConsumerWorld,
    KafkaConnectionWorld,
    OutboxRelayWorld,
    Reference,
    Secrets,
    SnapshotWorld,
)
from headrace_operator.plan import (
    connectcluster,
    connector,
    consumer,
    kafkaconnection,
    names,
    needs,
    outboxrelay,
    rest,
    snapshot,
    sources,
)
from headrace_operator.plan.actions import Plan
from headrace_operator.plan.reasons import Reason
from headrace_operator.settings import Settings

Given = Mapping[tuple[str, str], Resource]
"""Resources of one namespace by kind and name."""

PARTITIONS = 12
"""Of a topic whose Connector does not say how many it makes."""

HOME = "(assumed)"
"""The UID of the namespace."""

KAFKA = "assumed"
"""The id of the Kafka, which Kafka Connect has, too."""

VERSION = "(assumed)"
"""Of Kafka Connect."""

NOTHING = Children(objects={})


def plan(resource: Resource, given: Given, settings: Settings, now: datetime) -> Plan:
    """Return what a first pass over ``resource`` would do beside ``given``."""
    match resource.kind:
        case "KafkaConnection":
            cluster = ClusterSeen(cluster_id=KAFKA, brokers=3)
            spec = kafkaconnection.judge(resource).spec
            keys = needs.kafka_keys(spec) if spec else ()
            secrets = _secrets(tuple(name for name, _ in keys), tuple(key for _, key in keys))
            seen = KafkaConnectionWorld(resource=resource, secrets=secrets, cluster=cluster)
            return kafkaconnection.plan(seen, settings, now)
        case "ConnectCluster":
            return connectcluster.plan(_connect_cluster(resource, given), settings, now)
        case "Connector":
            return connector.plan(_connector(resource, given), settings, now)
        case "OutboxRelay":
            return outboxrelay.plan(_outbox_relay(resource, given), settings, now)
        case "Snapshot":
            return snapshot.plan(_snapshot(resource, given), settings, now)
        case _:
            return consumer.plan(_consumer(resource, given, now), settings, now)


def _connect_cluster(resource: Resource, given: Given) -> ConnectClusterWorld:
    return ConnectClusterWorld(
        resource=resource,
        kafka=_kafka(given, resource.spec.get("kafka")),
        connectors=tuple(one for (kind, _), one in given.items() if kind == "Connector"),
        workers=WorkersSeen(version=VERSION, kafka_cluster_id=KAFKA, plugins=(), connectors={}),
        owners={},
        children=NOTHING,
        home=HOME,
        secrets=_secrets(
            needs.workers_secrets(resource.spec), tuple(key for _, key in rest.keys(rest.in_force(resource)))
        ),
    )


def _connector(resource: Resource, given: Given) -> ConnectorWorld:
    connect = _connect(given, resource.spec.get("connect"))
    there = isinstance(connect, Resource)
    return ConnectorWorld(
        resource=resource,
        connect=connect,
        secrets=_secrets(needs.connector_named(resource.spec), _keys(resource.spec)),
        readable=frozenset(needs.connector_secrets(resource.spec)),
        seen=Absent() if there else Unknown(reason="Its ConnectCluster is not there to be asked."),
        validation=Validation(errors=()) if there else None,
        home=HOME,
    )


def _outbox_relay(resource: Resource, given: Given) -> OutboxRelayWorld:
    spec = outboxrelay.judge(resource).spec
    keys = needs.database_keys(spec.database) if spec else ()
    return OutboxRelayWorld(
        resource=resource,
        kafka=_kafka(given, resource.spec.get("kafka")),
        namesake=_reference(given, "Connector", resource.name),
        children=NOTHING,
        secrets=_secrets(tuple(name for name, _ in keys), tuple(key for _, key in keys)),
    )


def _snapshot(resource: Resource, given: Given) -> SnapshotWorld:
    """Return the world of a Snapshot whose Connector is accepted, runs, and is told of snapshots."""
    found = _reference(given, "Connector", resource.spec.get("connector"))
    if not isinstance(found, Resource):
        return SnapshotWorld(resource=resource, connector=found)
    connect = _connect(given, found.spec.get("connect"))
    named = connect.spec.get("kafka") if isinstance(connect, Resource) else None
    runs = {"type": "Running", "status": "True", "reason": Reason.TASKS_RUNNING}
    status = {"accepted": {"generation": found.generation, "spec": found.spec}, "conditions": [runs]}
    told = {"topicPrefix": names.connector(found.place, found.name), "signals": True, "snapshotTaken": True}
    return SnapshotWorld(
        resource=resource,
        connector=replace(found, status={**status, **told}),
        connect=connect,
        kafka=_kafka(given, named),
        topics=TopicsOfSnapshots(signals_end=0, notifications_end=0),
    )


def _consumer(resource: Resource, given: Given, now: datetime) -> ConsumerWorld:
    source = resource.spec.get("from") or {}
    through = source.get("connector")
    connector_seen = _reference(given, "Connector", through) if through else None
    at = connector_seen if isinstance(connector_seen, Resource) else None
    connect = _reference(given, "ConnectCluster", at.spec.get("connect") if at else None) if through else None
    kafka = sources.kafka_name(resource, at, connect if isinstance(connect, Resource) else None)
    topics = sources.in_force(resource, at)
    count = ((at.spec.get("topics") or {}) if at else {}).get("partitions") or PARTITIONS
    partitions = tuple(_partition(topic, number) for topic in topics for number in range(count))
    return ConsumerWorld(
        resource=resource,
        connector=connector_seen,
        connect=connect,
        kafka=_kafka(given, kafka),
        topics={name: TopicSeen(name=name, partitions=count) for name in topics},
        settings=SettingsSeen(of={}, fresh=True),
        backlog=BacklogSeen(at=now, partitions=partitions),
        rates=Rates(arrivals=None, handled=None),
        code=None,
        children=NOTHING,
        home=HOME,
    )


def _reference(given: Given, kind: str, name: object) -> Reference:
    return given.get((kind, str(name)), Absent())


def _connect(given: Given, name: object) -> Reference:
    """Return a ConnectCluster as it is accepted, but for an agent: what that would tell is not assumed."""
    found = _reference(given, "ConnectCluster", name)
    if not isinstance(found, Resource):
        return found
    without = connectcluster.in_force(replace(found, spec={**found.spec, "agent": {}}))
    return replace(without, spec=found.spec, status={**without.status, "version": VERSION})


def _kafka(given: Given, name: object) -> Reference:
    found = _reference(given, "KafkaConnection", name)
    if not isinstance(found, Resource):
        return found
    accepted = kafkaconnection.in_force(found)
    return replace(accepted, status={**accepted.status, "clusterId": KAFKA})


def _secrets(wanted: tuple[str, ...], keys: tuple[str, ...]) -> Secrets:
    return {name: SecretSeen(name=name, keys=frozenset(keys)) for name in wanted}


def _keys(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that the Secret of a Connector shall have; the spec may be no valid one."""
    login = (spec.get("postgres") or {}).get("credentials") or {}
    return str(login.get("usernameKey") or "username"), str(login.get("passwordKey") or "password")


def _partition(topic: str, number: int) -> PartitionSeen:
    return PartitionSeen(topic=topic, partition=number, start=0, end=0, committed=None, lag_seconds=None)
