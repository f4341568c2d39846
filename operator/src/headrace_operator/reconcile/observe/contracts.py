"""Observing contracts: the one that pods shall be made with, in each pass, and now and then those of before."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from headrace_operator.observed.kube import Children, ContractsSeen, Manifest, Resource
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import contracts, names
from headrace_operator.plan.children import selector
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.remote import Remote

EVERY = timedelta(minutes=5)
"""Between looks for contracts that nothing refers to: they cost only their place."""

WORKLOADS = {
    "Consumer": names.consumer_child,
    "ConnectCluster": names.connect_child,
    "OutboxRelay": names.relay_child,
}


async def beside(children: Children | Unknown, wanted: Manifest | None, remote: Remote) -> Children | Unknown:
    """Return ``children`` with the contract ``wanted``, when it is there."""
    if isinstance(children, Unknown) or wanted is None:
        return children
    name = contracts.name(wanted)
    found = await ask(remote.near.child(wanted["metadata"]["namespace"], "ConfigMap", name))
    if isinstance(found, Unknown):
        return found
    objects = {} if isinstance(found, Absent) else {("ConfigMap", name): found}
    return dataclasses.replace(children, objects={**children.objects, **objects})


async def all_of(resource: Resource, remote: Remote, history: History, now: datetime) -> ContractsSeen | Unknown | None:
    """Read live the contracts of a resource and what refers to them; None when it is not time to look."""
    if history.contracts_again is not None and now < history.contracts_again:
        return None
    history.contracts_again = now + EVERY
    selected = ",".join(f"{label}={value}" for label, value in selector(resource).items())
    return await ask(remote.kube.contracts(resource.namespace, WORKLOADS[resource.kind](resource.name), selected))
