"""Observing a Consumer: what it refers to, its topics, its backlog and its children."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from headrace import names as kafka_names
from headrace_operator.clients.kafka import Kafka, Partition
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen, TopicsSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConsumerWorld, Reference
from headrace_operator.plan import consumer as plan
from headrace_operator.plan import names, needs
from headrace_operator.reconcile.backlog import History, Sample
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import known, reference
from headrace_operator.reconcile.remote import Remote

CHILDREN = ("Deployment", "ConfigMap", "ServiceAccount")

Code = frozenset[str] | Absent | Unknown | None


async def consumer(resource: Resource, remote: Remote, history: History, now: datetime) -> ConsumerWorld:
    """Observe a Consumer and remember its offsets in ``history``."""
    namespace, name = resource.namespace, resource.name
    selector = f"headrace.dev/consumer={name}"
    (connector, connect, kafka), children, code = await asyncio.gather(
        _references(resource, remote),
        ask(remote.kube.children(namespace, names.consumer_child(name), CHILDREN, selector)),
        _code(resource, remote),
    )
    topics, backlog = await _kafka(resource, connector, kafka, remote, history, now)
    return ConsumerWorld(
        resource=resource,
        connector=connector,
        connect=connect,
        kafka=kafka,
        topics=topics,
        backlog=backlog,
        rates=history.rates(),
        code=code,
        children=children,
    )


async def _references(resource: Resource, remote: Remote) -> tuple[Reference | None, Reference | None, Reference]:
    source = resource.spec.get("from") or {}
    connector: Reference | None = None
    connect: Reference | None = None
    if source.get("connector"):
        connector = await reference(remote, "Connector", resource.namespace, source["connector"])
        connect = Unknown(reason=f"Connector {source['connector']} is not there to name its ConnectCluster.")
        if found := known(connector):
            connect = await reference(remote, "ConnectCluster", resource.namespace, found.spec.get("connect"))
    kafka = plan.kafka_name(resource, known(connector), known(connect))
    return connector, connect, await reference(remote, "KafkaConnection", resource.namespace, kafka)


async def _code(resource: Resource, remote: Remote) -> Code:
    name = needs.code_config_map(resource.spec)
    return None if name is None else await ask(remote.kube.config_map_keys(resource.namespace, name))


async def _kafka(
    resource: Resource, connector: Reference | None, kafka: Reference, remote: Remote, history: History, now: datetime
) -> tuple[TopicsSeen | Unknown, BacklogSeen | Unknown]:
    connection = known(kafka)
    if connection is None:
        nobody = Unknown(reason="The KafkaConnection is not there to be asked.")
        return nobody, nobody
    opened = await ask(remote.kafkas.open(connection))
    if isinstance(opened, Unknown):
        return opened, opened
    sources = plan.sources(resource, known(connector))
    topics = await ask(opened.topics((*sources, *_own_topics(resource))))
    if isinstance(topics, Unknown):
        return topics, topics
    return topics, await ask(_backlog(resource, opened, topics, history, now))


def _own_topics(resource: Resource) -> tuple[str, str, str]:
    at = (resource.namespace, resource.name)
    return kafka_names.retry_topic(*at), kafka_names.dead_letter_topic(*at), kafka_names.resolutions_topic(*at)


async def _backlog(
    resource: Resource, kafka: Kafka, topics: TopicsSeen, history: History, now: datetime
) -> BacklogSeen:
    _, dead, resolved = _own_topics(resource)
    every = [(topic.name, number) for topic in topics.values() for number in range(topic.partitions)]
    handled = [one for one in every if one[0] not in (dead, resolved)]
    group = kafka_names.group(resource.namespace, resource.name)
    offsets, committed = await asyncio.gather(kafka.offsets(every), kafka.committed(group, handled))
    history.add(
        Sample(at=now, partitions={one: (offsets[one][1], committed.get(one, offsets[one][0])) for one in handled})
    )
    total = _count(offsets, dead) if dead in topics else None
    resolutions = _count(offsets, resolved) if resolved in topics else 0
    return BacklogSeen(
        at=now,
        partitions=tuple(
            PartitionSeen(
                topic=topic,
                partition=number,
                start=offsets[(topic, number)][0],
                end=offsets[(topic, number)][1],
                committed=committed.get((topic, number)),
                lag_seconds=history.lag_seconds((topic, number)),
            )
            for topic, number in handled
        ),
        dead_letters_total=total,
        dead_letters_outstanding=None if total is None else max(0, total - resolutions),
    )


def _count(offsets: Mapping[Partition, tuple[int, int]], topic: str) -> int:
    return sum(end - start for (name, _), (start, end) in offsets.items() if name == topic)
