"""Observing an OutboxRelay: its KafkaConnection, its Secrets, its children, and what its pods tell."""

from __future__ import annotations

import asyncio
import dataclasses

from headrace.outbox import Told
from headrace_operator.observed.kube import Children, Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import OutboxRelayWorld
from headrace_operator.plan import inputs as pods_read
from headrace_operator.plan import names, needs
from headrace_operator.plan import outboxrelay as plan
from headrace_operator.reconcile.observe import contracts
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import inputs, kafka_reference, reference, secrets
from headrace_operator.reconcile.remote import Remote

CHILDREN = ("Deployment", "ServiceAccount", "PodDisruptionBudget")
WHERE_ALL_IS_WATCHED = ("NetworkPolicy",)
"""What is made beside them where the chart does not know the namespaces."""


async def outbox_relay(resource: Resource, remote: Remote, *, watches_all: bool = False) -> OutboxRelayWorld:
    """Observe an OutboxRelay, but for contracts of before; ``watches_all``: the operator, all namespaces."""
    kinds = (*CHILDREN, *(WHERE_ALL_IS_WATCHED if watches_all else ()))
    namespace, child = resource.namespace, names.relay_child(resource.name)
    selector = f"headrace.dev/relay={resource.name}"
    specs = (resource.spec, needs.accepted(resource))
    given = tuple(dict.fromkeys(name for spec in specs for name in needs.every_secret(spec)))
    started_with = frozenset().union(*map(pods_read.of_relay, specs))
    children = await ask(remote.near.children(namespace, child, kinds, selector))
    world = OutboxRelayWorld(
        resource=resource,
        kafka=await kafka_reference(remote, namespace, _kafka(resource)),
        namesake=await reference(remote, "Connector", namespace, resource.name),
        children=children,
        told=await _told(children, remote),
        secrets=await secrets(remote.kube, namespace, given),
        inputs=await inputs(resource, remote, started_with),
    )
    made = await contracts.beside(world.children, plan.contract(world), remote)
    return dataclasses.replace(world, children=made)


async def _told(children: Children | Unknown, remote: Remote) -> tuple[Told | Unknown, ...]:
    """Ask each pod: what is in the way of one may not be in that of another."""
    pods = () if isinstance(children, Unknown) else children.pods
    return tuple(await asyncio.gather(*(ask(remote.relays.told(pod.ip)) for pod in pods if pod.ip)))


def _kafka(resource: Resource) -> object:
    """Return the KafkaConnection of the spec that is in force, as far as that can be read."""
    spec = plan.judge(resource).spec
    return spec.kafka if spec else resource.spec.get("kafka")
