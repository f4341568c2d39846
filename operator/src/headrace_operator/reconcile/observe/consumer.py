"""Observing a Consumer: what it refers to, its topics, its backlog and its children."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from headrace_operator.observed.kafka import BacklogSeen, Rates, SettingsSeen, TopicsSeen
from headrace_operator.observed.kube import Children, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConsumerWorld, Reference
from headrace_operator.plan import inputs as pods_read
from headrace_operator.plan import names, needs, pods, sources
from headrace_operator.plan.children import own_deployment
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.backlog import backlog, own_topics
from headrace_operator.reconcile.observe.connections import (
    all_run,
    beside_edit,
    home,
    inputs,
    kafka_reference,
    known,
    reference,
    secrets,
)
from headrace_operator.reconcile.observe.settings import settings
from headrace_operator.reconcile.remote import Remote

CHILDREN = ("Deployment", "ServiceAccount", "PodDisruptionBudget")
WHERE_ALL_IS_WATCHED = ("NetworkPolicy",)
"""What is made beside them where the chart does not know the namespaces."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen before of a Consumer, and now: so many replicas are ``ready``."""

    history: History
    now: datetime
    ready: int


Code = frozenset[str] | Absent | Unknown | None


async def consumer(
    resource: Resource, remote: Remote, history: History, now: datetime, *, watches_all: bool = False
) -> ConsumerWorld:
    """Observe a Consumer, but for contracts, and remember its offsets in ``history``.

    ``watches_all``: the operator, all namespaces.
    """
    kinds = (*CHILDREN, *(WHERE_ALL_IS_WATCHED if watches_all else ()))
    namespace, child = resource.namespace, names.consumer_child(resource.name)
    selector = f"headrace.dev/consumer={resource.name}"
    started_with = pods_read.of_consumer(resource.spec) | pods_read.of_consumer(needs.accepted(resource))
    # One after the other, as most is remembered: a task for each would cost more than what it waits for.
    connector, connect, kafka = await _references(resource, remote)
    children = await ask(remote.near.children(namespace, child, kinds, selector, partial(all_run, child)))
    code = await _code(resource, remote)
    secret = await secrets(remote.kube, namespace, _secrets(resource))
    versions = await inputs(resource, remote, started_with)
    place = await home(resource, remote)
    watched = Watched(history=history, now=now, ready=_ready(resource, children))
    topics, settled, waiting = await _kafka(resource, connector, kafka, remote, watched)
    return ConsumerWorld(
        resource=resource,
        connector=connector,
        connect=connect,
        kafka=kafka,
        topics=topics,
        settings=settled,
        backlog=waiting,
        rates=Rates(arrivals=None, handled=None) if isinstance(waiting, Unknown) else history.rates(),
        code=code,
        children=children,
        home=place,
        secrets=secret,
        inputs=versions,
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
    kafka = sources.kafka_name(resource, known(connector), known(connect))
    return connector, connect, await kafka_reference(remote, resource.namespace, kafka)


def _secrets(resource: Resource) -> tuple[str, ...]:
    """Return the Secrets of the spec as written and of the accepted one: either may be in force."""
    accepted = (resource.status.get("accepted") or {}).get("spec") or {}
    return tuple(dict.fromkeys((*needs.every_secret(resource.spec), *needs.every_secret(accepted))))


async def _code(resource: Resource, remote: Remote) -> Code:
    name = needs.code_config_map(resource.spec)
    return None if name is None else await ask(beside_edit(resource, remote).config_map_keys(resource.namespace, name))


async def _kafka(
    resource: Resource, connector: Reference | None, kafka: Reference, remote: Remote, watched: Watched
) -> tuple[TopicsSeen | Unknown, SettingsSeen, BacklogSeen | Unknown]:
    connection = known(kafka)
    last = SettingsSeen(of=watched.history.settings.of, fresh=False)
    if connection is None:
        absent = Unknown(reason="The KafkaConnection is not there to be asked.")
        nobody = kafka if isinstance(kafka, Unknown) else absent
        return nobody, last, nobody
    opened = await ask(remote.kafkas.open(connection))
    if isinstance(opened, Unknown):
        return opened, last, opened
    in_force = sources.in_force(resource, known(connector))
    counted = (*sources.counted(resource, known(connector), in_force), *own_topics(resource))
    topics = await ask(opened.topics(tuple(dict.fromkeys((*in_force, *counted)))))
    if isinstance(topics, Unknown):
        return topics, last, topics
    waited = {name: topic for name, topic in topics.items() if name in counted}
    settled = await settings(resource, opened, in_force, topics, watched.history.settings, watched.now)
    waiting = await ask(backlog(resource, opened, waited, watched.history, watched.now, watched.ready))
    return topics, settled, waiting


def _ready(resource: Resource, children: Children | Unknown) -> int:
    deployment = own_deployment(resource, names.consumer_child(resource.name), children)
    return pods.rollout(deployment)[1]
