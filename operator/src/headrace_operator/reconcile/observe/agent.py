"""Observing the source agent of a ConnectCluster, and what it tells of the database of a Connector."""

from __future__ import annotations

from functools import partial
from typing import TypedDict

from headrace_operator.observed.kube import Children, Resource
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import Secrets
from headrace_operator.plan import agent as plan
from headrace_operator.plan import names, needs, pods, source
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.remote import Remote

KINDS = ("Deployment", "Service", "ServiceAccount", "NetworkPolicy", "ConfigMap")


class Beside(TypedDict):
    """What a ConnectCluster's world has of its agent."""

    agent: Children | Unknown
    sources: Secrets


async def beside(resource: Resource, connectors: tuple[Resource, ...] | Unknown, remote: Remote) -> Beside:
    """Read the objects of an agent, and where the Secrets of its Connectors may go, if there may be one."""
    if not plan.may_be_there(resource):
        return Beside(agent=Children(objects={}), sources={})
    name = names.agent_child(resource.name)
    label = f"headrace.dev/{plan.COMPONENT}={resource.name}"
    read = remote.near.children(resource.namespace, name, KINDS, label, partial(_all_run, name))
    return Beside(agent=await ask(read), sources=await _secrets(resource, connectors, remote))


async def told(name: str, cluster: Resource, remote: Remote) -> SourceSeen | Absent | Unknown:
    """Ask the agent of ``cluster`` about the source ``name``; Absent when the agent does not look at one."""
    if not source.is_on(cluster):
        return Unknown(reason=source.off(cluster))
    return await ask(remote.agents.source(names.agent_url(cluster.namespace, cluster.name), name))


def _all_run(name: str, children: Children) -> bool:
    wanted, ready, rolled = pods.rollout(children.objects.get(("Deployment", name)))
    return rolled and ready >= wanted > 0


async def _secrets(resource: Resource, connectors: tuple[Resource, ...] | Unknown, remote: Remote) -> Secrets:
    """Read, perhaps as they were remembered, the Secrets that the Connectors of a ConnectCluster name."""
    every = () if isinstance(connectors, Unknown) else connectors
    specs = (
        spec for one in every if one.spec.get("connect") == resource.name for spec in (one.spec, needs.accepted(one))
    )
    wanted = tuple(dict.fromkeys(name for spec in specs for name in needs.connector_named(spec)))
    return {name: await ask(remote.near.secret(resource.namespace, name)) for name in wanted}
