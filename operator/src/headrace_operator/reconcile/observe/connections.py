"""Observing KafkaConnections and ConnectClusters."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping
from functools import partial

from headrace_operator.api.kafkaconnection import accepted
from headrace_operator.clients.errors import Unreachable
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.connect import WorkersSeen
from headrace_operator.observed.kafka import ClusterSeen
from headrace_operator.observed.kube import Children, Input, Inputs, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectClusterWorld, KafkaConnectionWorld, Reference, Secrets
from headrace_operator.plan import connectcluster as plan_connect
from headrace_operator.plan import external, names, needs, pods, rest
from headrace_operator.plan import inputs as pods_read
from headrace_operator.plan import kafkaconnection as plan
from headrace_operator.plan.leaving import Gone
from headrace_operator.reconcile.observe import agent, contracts, log_levels
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.remote import Remote

CHILDREN = (
    "Deployment",
    "Service",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "PodDisruptionBudget",
    "NetworkPolicy",
)


async def reference(remote: Remote, kind: str, namespace: str, name: object) -> Reference:
    """Read the resource that a spec refers to, perhaps as it was remembered: its events ring who refers to it."""
    if not isinstance(name, str) or not name:
        return Unknown(reason=f"The spec names no {kind}.")
    return await ask(remote.near.resource(kind, namespace, name))


async def kafka_reference(remote: Remote, namespace: str, name: object) -> Reference:
    """Read the KafkaConnection that a spec refers to; one that is not accepted is not known to be any good."""
    found = await reference(remote, "KafkaConnection", namespace, name)
    why = plan.unaccepted(found) if isinstance(found, Resource) else None
    return found if why is None else Unknown(reason=why)


async def secrets(kube: Kube, namespace: str, wanted: tuple[str, ...]) -> Secrets:
    """Read which keys each Secret has, and where it may go."""
    return {name: await ask(kube.secret(namespace, name)) for name in wanted}


async def home(resource: Resource, remote: Remote) -> str | Unknown:
    """Read the UID of a resource's namespace; live at the first look, as a namesake may have been remembered."""
    kube = remote.near if resource.status else remote.kube
    return await ask(kube.namespace_uid(resource.namespace))


async def inputs(resource: Resource, remote: Remote, wanted: Collection[Input]) -> Inputs:
    """Read which version there is of each Secret and ConfigMap that pods read when they start."""
    kube = beside_edit(resource, remote)
    return {one: await ask(kube.version(resource.namespace, *one)) for one in wanted}


def beside_edit(resource: Resource, remote: Remote) -> Kube:
    """Return whom to ask for what pods read: live after an edit, so that what was changed with it is one rollout."""
    return remote.kube if resource.is_edited else remote.near


async def kafka_connection(resource: Resource, remote: Remote) -> KafkaConnectionWorld:
    """Observe a KafkaConnection: the Secrets of its specs, which say where they may go, and then its Kafka."""
    either = (plan.judge(resource).spec, accepted(resource.status))
    wanted = tuple(dict.fromkeys(name for spec in either if spec for name in needs.kafka_secrets(spec)))
    seen = await secrets(remote.kube, resource.namespace, wanted)

    async def cluster() -> ClusterSeen:
        return await (await remote.kafkas.open(plan.in_force(resource, seen))).cluster()

    answered = await ask(cluster())
    return KafkaConnectionWorld(resource=resource, secrets=seen, cluster=answered)


async def connect_cluster(resource: Resource, remote: Remote) -> ConnectClusterWorld:
    """Observe a ConnectCluster: its Kafka, its workers, and only then its Connectors; and its children."""
    namespace = resource.namespace
    kafka, workers, children, place = await asyncio.gather(
        kafka_reference(remote, namespace, resource.spec.get("kafka")),
        ask(_workers(resource, remote)),
        _children(resource, remote),
        home(resource, remote),
    )
    connectors = await ask(remote.kube.resources("Connector", namespace))
    orphans = needs.orphans(resource, workers, connectors)
    leaving = await _orphans(remote, resource, orphans)
    started_with = pods_read.of_workers(resource.spec, plan_connect.kafka_spec(kafka))
    started_with |= pods_read.of_workers(needs.accepted(resource), None)
    started_with |= pods_read.of_agent(resource.spec) | pods_read.of_agent(needs.accepted(resource))
    given = (name for spec in (resource.spec, needs.accepted(resource)) for name in needs.workers_secrets(spec))
    world = ConnectClusterWorld(
        resource=resource,
        kafka=kafka,
        connectors=connectors,
        workers=workers,
        owners=await _owners(remote, namespace, orphans),
        orphans=leaving,
        databases=await agent.left(resource, orphans, leaving, remote),
        children=children,
        home=await ask(remote.kube.namespace_uid(namespace)) if orphans else place,
        secrets=await secrets(remote.kube, namespace, tuple(dict.fromkeys(given))),
        inputs=await inputs(resource, remote, started_with),
        loggers=await log_levels.told(resource, remote),
        **await agent.beside(resource, connectors, leaving, remote),
    )
    made = await contracts.beside(children, plan_connect.contract(world), remote)
    return dataclasses.replace(world, children=made)


async def _children(resource: Resource, remote: Remote) -> Children | Unknown:
    """Read the objects of the workers; there are none where others run them."""
    if external.is_meant(resource):
        return Children(objects={})
    child, label = names.connect_child(resource.name), f"headrace.dev/connect={resource.name}"
    return await ask(remote.near.children(resource.namespace, child, CHILDREN, label, partial(all_run, child)))


async def entered(remote: Remote, cluster: Resource) -> str:
    """Return the address of the workers of ``cluster``, which the client can enter now; raises `HeadraceError`."""
    url, protected = rest.url(cluster), rest.in_force(cluster)
    if external.is_meant(cluster):
        if (outside := external.in_force(cluster)) is None:
            raise Unreachable("Kafka Connect is asked once its ConnectCluster is accepted.")
        remote.connect.enter(url, await remote.entrances.outside(url, cluster.namespace, outside))
    if protected is not None:
        remote.connect.enter(url, await remote.entrances.open(url, cluster.namespace, protected))
    return url


async def _workers(resource: Resource, remote: Remote) -> WorkersSeen:
    return await remote.connect.workers(await entered(remote, resource))


def all_run(name: str, children: Children) -> bool:
    """Tell whether the Deployment ``name`` has all pods that it wants, so that none has to say why not."""
    wanted, ready, rolled = pods.rollout(children.objects.get(("Deployment", name)))
    return rolled and ready >= wanted > 0


async def _owners(remote: Remote, namespace: str, orphans: Mapping[str, str]) -> dict[str, Reference]:
    found = (ask(remote.kube.resource("Connector", namespace, name)) for name in orphans.values())
    return dict(zip(orphans, await asyncio.gather(*found), strict=True))


async def _orphans(remote: Remote, cluster: Resource, orphans: Mapping[str, str]) -> Gone:
    """Read the connectors that seem to be nobody's, live: what is done next to each rests on what it is seen to be."""
    url = rest.url(cluster)
    found = await asyncio.gather(*(ask(remote.connect.connector(url, name)) for name in orphans))
    return dict(zip(orphans, found, strict=True))


def known(found: Reference | None) -> Resource | None:
    """Return a reference that was found."""
    return None if found is None or isinstance(found, Absent | Unknown) else found
