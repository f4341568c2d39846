"""Observing an OutboxRelay: its KafkaConnection, its Secrets and its children."""

from __future__ import annotations

import dataclasses
from functools import partial

from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import OutboxRelayWorld
from headrace_operator.plan import inputs as pods_read
from headrace_operator.plan import names, needs
from headrace_operator.plan import outboxrelay as plan
from headrace_operator.reconcile.observe import contracts
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import all_run, inputs, kafka_reference, reference, secrets
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
    world = OutboxRelayWorld(
        resource=resource,
        kafka=await kafka_reference(remote, namespace, _kafka(resource)),
        namesake=await reference(remote, "Connector", namespace, resource.name),
        children=await ask(remote.near.children(namespace, child, kinds, selector, partial(all_run, child))),
        secrets=await secrets(remote.kube, namespace, given),
        inputs=await inputs(resource, remote, started_with),
    )
    made = await contracts.beside(world.children, plan.contract(world), remote)
    return dataclasses.replace(world, children=made)


def _kafka(resource: Resource) -> object:
    """Return the KafkaConnection of the spec that is in force, as far as that can be read."""
    spec = plan.judge(resource).spec
    return spec.kafka if spec else resource.spec.get("kafka")
