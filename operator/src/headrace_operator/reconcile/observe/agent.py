"""Observing the source agent of a ConnectCluster, and what it tells of the database of a Connector."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TypedDict

from headrace_operator.api import properties as raw
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Children, Resource
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import Secrets
from headrace_operator.plan import agent as plan
from headrace_operator.plan import marks, names, needs, pods, source
from headrace_operator.plan.leaving import Gone
from headrace_operator.plan.source import Source
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.remote import Remote

KINDS = ("Deployment", "Service", "ServiceAccount", "NetworkPolicy", "ConfigMap")


class Beside(TypedDict):
    """What a ConnectCluster's world has of its agent."""

    agent: Children | Unknown
    sources: Secrets


async def beside(
    resource: Resource, connectors: tuple[Resource, ...] | Unknown, orphans: Gone, remote: Remote
) -> Beside:
    """Read the objects of an agent, and where the Secrets of its Connectors may go, if there may be one.

    So of connectors that are orphans, whose slots may have to be dropped.
    """
    if not plan.may_be_there(resource):
        return Beside(agent=Children(objects={}), sources={})
    name = names.agent_child(resource.name)
    label = f"headrace.dev/{plan.COMPONENT}={resource.name}"
    read = remote.near.children(resource.namespace, name, KINDS, label, partial(_all_run, name))
    return Beside(agent=await ask(read), sources=await _secrets(resource, connectors, orphans, remote))


async def told(name: str, cluster: Resource, remote: Remote) -> SourceSeen | Absent | Unknown:
    """Ask the agent of ``cluster`` about the source ``name``; Absent when the agent does not look at one."""
    if not source.is_on(cluster):
        return Unknown(reason=source.off(cluster))
    return await ask(remote.agents.source(names.agent_url(cluster.namespace, cluster.name), name))


def _all_run(name: str, children: Children) -> bool:
    wanted, ready, rolled = pods.rollout(children.objects.get(("Deployment", name)))
    return rolled and ready >= wanted > 0


async def left(cluster: Resource, called: Mapping[str, str], orphans: Gone, remote: Remote) -> dict[str, Source]:
    """Ask the agent, if there is one, about databases of orphans whose slots go with them, ``called`` as Connectors."""
    if not source.is_on(cluster):
        return {}
    asked = [name for name, one in orphans.items() if isinstance(one, ConnectorSeen) and marks.drops_slot(one.config)]
    return {name: await told(called[name], cluster, remote) for name in asked}


async def _secrets(
    resource: Resource, connectors: tuple[Resource, ...] | Unknown, orphans: Gone, remote: Remote
) -> Secrets:
    """Read, perhaps as they were remembered, the Secrets that the Connectors of a ConnectCluster name."""
    every = () if isinstance(connectors, Unknown) else connectors
    specs = (
        spec for one in every if one.spec.get("connect") == resource.name for spec in (one.spec, needs.accepted(one))
    )
    left = (name for one in orphans.values() if isinstance(one, ConnectorSeen) for name in raw.referred(one.config))
    wanted = dict.fromkeys((*(name for spec in specs for name in needs.connector_named(spec)), *left))
    return {name: await ask(remote.near.secret(resource.namespace, name)) for name in wanted}
