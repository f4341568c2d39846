"""Observing a Snapshot: its Connector and what is around that, other Snapshots, and what the connector tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from headrace import names as kafka_names
from headrace_operator.clients import kafka_notifications as documents
from headrace_operator.clients.errors import Invalid
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import LogSeen, Partition, Span
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.snapshots import TopicsOfSnapshots
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import Reference, SnapshotWorld
from headrace_operator.plan import signals
from headrace_operator.plan import snapshot as plan
from headrace_operator.reconcile.observe import agent
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import kafka_reference, known, reference
from headrace_operator.reconcile.remote import Remote


async def snapshot(resource: Resource, remote: Remote) -> SnapshotWorld:
    """Observe a Snapshot; of one that is over nothing is read."""
    world = SnapshotWorld(resource=resource)
    if plan.is_over(resource):
        return world
    found = await reference(remote, "Connector", resource.namespace, resource.spec.get("connector"))
    connector = known(found)
    return dataclasses.replace(world, connector=found) if connector is None else await _around(world, connector, remote)


async def _around(world: SnapshotWorld, connector: Resource, remote: Remote) -> SnapshotWorld:
    """Observe what a Connector has to do with a Snapshot; the database only before it is asked for."""
    resource, namespace = world.resource, world.resource.namespace
    connect = await reference(remote, "ConnectCluster", namespace, connector.spec.get("connect"))
    cluster = known(connect)
    kafka = await kafka_reference(remote, namespace, cluster.spec.get("kafka") if cluster else None)
    looks = cluster is not None and not plan.is_sent(resource)
    source = await agent.told(connector.name, cluster, remote) if cluster and looks else world.source
    listens = bool(connector.status.get("signals"))
    return dataclasses.replace(
        world,
        connector=connector,
        connect=connect,
        kafka=kafka,
        others=() if plan.is_sent(resource) else await ask(remote.kube.resources("Snapshot", namespace)),
        source=source,
        topics=await ask(_topics(resource, connector, kafka, remote)) if listens else None,
    )


async def _topics(resource: Resource, connector: Resource, kafka: Reference, remote: Remote) -> TopicsOfSnapshots:
    """Read the topics of signals and of notifications from the offsets on that are recorded."""
    if not isinstance(kafka, Resource):
        raise Invalid(kafka.reason if isinstance(kafka, Unknown) else "The KafkaConnection does not exist: create it.")
    client, prefix = await remote.kafkas.open(kafka), str(connector.status.get("topicPrefix"))
    told, tells = signals.signals_topic(prefix), signals.notifications_topic(prefix)
    ends = await _ends(client, (told, tells))
    seen = TopicsOfSnapshots(signals_end=ends[told].end, notifications_end=ends[tells].end)
    if (begun := plan.recorded_offsets(resource)) is None:
        return seen
    spans = {(name, 0): _from(at, ends[name]) for name, at in zip((told, tells), begun, strict=True)}
    log = await _read(client, kafka_names.group(connector.place, connector.name), spans)
    of = {name: [one.value for one in log.records if one.topic == name] for name in (told, tells)}
    whole = log.reached[told, 0] == spans[told, 0].end
    return dataclasses.replace(
        seen,
        signals=frozenset(filter(None, map(documents.signal, of[told]))) if whole else None,
        notifications=tuple(filter(None, map(documents.notification, of[tells]))),
        read=log.reached[tells, 0],
    )


async def _ends(client: Kafka, names: Sequence[str]) -> Mapping[str, Span]:
    """Return the first partition's offsets of each topic; raises `Invalid` for one that is not as it must be."""
    there = await client.topics(names)
    for name in names:
        if name not in there or there[name].partitions != 1:
            has = f"has {there[name].partitions} partitions" if name in there else "does not exist"
            raise Invalid(f"Topic {name} {has}, by which snapshots are asked for or told of: make it with 1 partition.")
    found = await client.offsets((name, 0) for name in names)
    return {name: found[name, 0] for name in names}


def _from(at: int, span: Span) -> Span:
    """Return what is to be read of a span; of one that was made anew, and ends before that offset, all."""
    return Span(start=span.start if at > span.end else max(at, span.start), end=span.end)


async def _read(client: Kafka, group: str, spans: Mapping[Partition, Span]) -> LogSeen:
    unread = {at: span for at, span in spans.items() if span.start < span.end}
    log = await client.read(group, unread, values=True) if unread else LogSeen(records=(), reached={})
    return dataclasses.replace(log, reached={at: log.reached.get(at, span.start) for at, span in spans.items()})
