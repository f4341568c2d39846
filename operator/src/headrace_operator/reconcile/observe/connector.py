"""Observing a Connector: what it refers to, what Connect runs, and what Connect says of a changed configuration."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from headrace_operator.observed.connect import ConnectorSeen, Validation
from headrace_operator.observed.kube import Children, Resource, SecretSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld, Reference, Secrets
from headrace_operator.plan import connector as plan
from headrace_operator.plan import (
    declared,
    external,
    marks,
    names,
    needs,
    offset_documents,
    rest,
    signals,
    snapshot_signals,
)
from headrace_operator.plan import source as sources
from headrace_operator.plan.conditions import instant
from headrace_operator.plan.source import Source
from headrace_operator.reconcile.observe import agent
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import (
    beside_edit,
    entered,
    home,
    kafka_reference,
    known,
    reference,
    secrets,
)
from headrace_operator.reconcile.progress import Progress
from headrace_operator.reconcile.remote import Remote
from headrace_operator.settings import EVERYWHERE

Seen = ConnectorSeen | Absent | Unknown


async def connector(
    resource: Resource, remote: Remote, progress: Progress, now: datetime, namespaces: tuple[str, ...] = ()
) -> ConnectorWorld:
    """Observe a Connector, and its ``progress`` since earlier passes; ``namespaces`` are those the operator watches.

    Its Secrets may be remembered while it runs as wanted and they have what it needs; else they are read live.
    """
    namespace = resource.namespace
    found = await reference(remote, "ConnectCluster", namespace, resource.spec.get("connect"))
    secret = await secrets(beside_edit(resource, remote), namespace, _secrets(resource))
    readable = await _readable(resource, found, remote)
    others = await _others(resource, remote, namespaces)
    place = await home(resource, remote)
    beside = () if isinstance(others, Unknown) else others
    cluster = known(found)
    seen: Seen = Unknown(reason=f"ConnectCluster {resource.spec.get('connect')} is not there to be asked.")
    validation: Validation | Unknown | None = None
    doubt: str | None = None
    source: Source = Unknown(reason=f"ConnectCluster {resource.spec.get('connect')} is not there to be asked.")
    candidate: Source | None = None
    kafka: Reference | None = None
    snapshots: tuple[Resource, ...] = ()
    if cluster is not None:
        url = rest.url(cluster)
        snapshots = await _snapshots(resource, remote)
        kafka = await _signals(resource, cluster, snapshots, remote)
        wanted = plan.wanted(resource, place, beside, secret, cluster, kafka)
        source, candidate = await _source(resource, cluster, remote, progress, now)
        suffices = partial(plan.is_left_alone, resource, wanted)
        seen = await ask(_looked_at(resource, cluster, remote, suffices))
        seen = await _measured(seen, resource, cluster, remote)
        if not (isinstance(seen, ConnectorSeen) and suffices(seen) and _missing(resource, cluster, secret) is None):
            secret = await secrets(remote.kube, namespace, _secrets(resource))
            wanted = plan.wanted(resource, place, beside, secret, cluster, kafka)
        held = _missing(resource, cluster, secret) or plan.unread(resource, readable) or _unknown(kafka)
        held = next((one.reason for one in (place, others) if isinstance(one, Unknown)), held)
        held = plan.unprepared(resource, beside, secret, cluster, candidate or source) or held
        validation = await _validation(remote, url, wanted, seen, held)
        is_ours = isinstance(seen, ConnectorSeen) and marks.is_for(seen.config, resource, place)
        doubt = await _doubt(remote, url, resource, seen, progress, now) if is_ours else None
    return ConnectorWorld(
        resource=resource,
        connect=found,
        secrets=secret,
        readable=readable,
        seen=seen,
        validation=validation,
        home=place,
        others=beside,
        doubt=doubt,
        source=source,
        candidate=candidate,
        stands=progress.stands(now),
        signals=kafka,
        left=await _left(resource, seen, remote) if kafka is not None else None,
        snapshots=snapshots,
    )


async def _snapshots(resource: Resource, remote: Remote) -> tuple[Resource, ...]:
    """Return the Snapshots of the namespace as far as they are known."""
    found = await ask(remote.near.known("Snapshot", resource.namespace))
    return () if isinstance(found, Unknown) else found


async def _signals(
    resource: Resource, cluster: Resource, snapshots: tuple[Resource, ...], remote: Remote
) -> Reference | None:
    """Read the Kafka by which a Connector is told of Snapshots; None while none asks for that."""
    if not signals.asked(resource, snapshots):
        return None
    return await kafka_reference(remote, resource.namespace, cluster.spec.get("kafka"))


async def _left(resource: Resource, seen: Seen, remote: Remote) -> str | None:
    """Return the id of a snapshot of ours that is under way, by the offsets, where a live list lacks its Snapshot."""
    offsets = seen.offsets if isinstance(seen, ConnectorSeen) else None
    name = offset_documents.snapshot(offsets or ())
    if name is None or not name.startswith(snapshot_signals.OURS):
        return None
    there = await ask(remote.kube.resources("Snapshot", resource.namespace))
    known = isinstance(there, Unknown) or name in {snapshot_signals.id_of(one.uid) for one in there}
    return None if known else name


def _unknown(kafka: Reference | None) -> str | None:
    """Say why the Kafka is not known by which a Connector is told of Snapshots, so that nothing is configured."""
    match kafka:
        case Unknown(reason=reason):
            return reason
        case Absent():
            return "The KafkaConnection of its ConnectCluster does not exist."
        case _:
            return None


async def _source(
    resource: Resource, cluster: Resource, remote: Remote, progress: Progress, now: datetime
) -> tuple[Source, Source | None]:
    """Ask the agent about the database that is captured, and about another one to which an edit would lead."""
    seen = progress.tell(await agent.told(resource.name, cluster, remote), now)
    name = declared.name_as_written(resource, cluster) if sources.is_on(cluster) else resource.name
    return seen, None if name == resource.name else await agent.told(name, cluster, remote)


async def _doubt(
    remote: Remote, url: str, resource: Resource, seen: Seen, progress: Progress, now: datetime
) -> str | None:
    """Say why tasks that run could not: Connect, asked once offsets stand still, logs in anew and tells."""
    if not isinstance(seen, ConnectorSeen):
        return None
    last = resource.status.get("restarts") or {}
    offsets = None if seen.offsets is None else list(seen.offsets)
    progress.look(offsets, instant(last.get("lastTime")), now, last.get("offsets"))
    if {seen.state, *(task.state for task in seen.tasks)} != {"RUNNING"}:
        progress.failed()
        return None
    if progress.doubtful(now):
        answer = await ask(remote.connect.validate(url, seen.config))
        if not isinstance(answer, Unknown):
            progress.answered(plan.refusal(answer), now)
    return progress.doubt


async def _others(resource: Resource, remote: Remote, namespaces: tuple[str, ...]) -> tuple[Resource, ...] | Unknown:
    """List the Connectors that may share what the spec names, and ask nobody when it names nothing.

    A namespace that cannot be listed, save the Connector's own, holds nothing up; one list has those of all.
    """
    if not needs.names_shareable(resource.spec):
        return ()
    apart = (resource.namespace, *(set(namespaces) - {resource.namespace}))
    asked = EVERYWHERE if namespaces == EVERYWHERE else apart
    here, *rest = await asyncio.gather(*(ask(remote.kube.resources("Connector", one)) for one in asked))
    return here if isinstance(here, Unknown) else sum((one for one in rest if not isinstance(one, Unknown)), here)


async def _looked_at(
    resource: Resource, cluster: Resource, remote: Remote, suffices: Callable[[ConnectorSeen], bool]
) -> ConnectorSeen | Absent:
    url = await entered(remote, cluster)
    return await remote.connect.looked_at(url, names.connector(resource.place, resource.name), suffices)


async def _measured(seen: Seen, resource: Resource, cluster: Resource, remote: Remote) -> Seen:
    """Return the connector with its lag, asked of its own worker, and of no address that is not one of our pods."""
    prefix = resource.status.get("topicPrefix")
    if not isinstance(seen, ConnectorSeen) or not seen.tasks or not prefix:
        return seen
    children = await ask(remote.near.children(resource.namespace, "", (), f"headrace.dev/connect={cluster.name}"))
    addresses = [pod.ip for pod in children.pods if pod.ip] if isinstance(children, Children) else []
    hosts = {rest.host(cluster, ip): ip for ip in addresses}
    ip = hosts.get((seen.tasks[0].worker or "").rpartition(":")[0].strip("[]"))
    return dataclasses.replace(seen, lag=await remote.connect.lag(ip, prefix)) if ip else seen


async def _readable(resource: Resource, cluster: Reference, remote: Remote) -> frozenset[str] | Unknown:
    """Return the Secrets that the workers may read; those that others run read them by a right of their own."""
    if external.is_one(cluster):
        return frozenset(_secrets(resource))
    child = names.connect_child(str(resource.spec.get("connect")))
    return await ask(remote.near.readable_secrets(resource.namespace, child))


def _missing(resource: Resource, cluster: Resource, seen: Secrets) -> str | None:
    """Say that a Secret is not there yet; a Kafka Connect that others run may have its own."""
    found = {name: seen.get(name) for name in needs.connector_named(resource.spec)}
    login, keys = needs.connector_secrets(resource.spec), needs.connector_keys(resource.spec)
    if external.is_one(cluster):
        found = {name: one for name, one in found.items() if not isinstance(one, Absent)}
    if all(isinstance(one, SecretSeen) and (name not in login or keys <= one.keys) for name, one in found.items()):
        return None
    return "Kafka Connect is asked once the Secret that the spec names is there, and has its keys."


def _secrets(resource: Resource) -> tuple[str, ...]:
    """Return the Secrets of the spec as written and of the accepted one: either may be in force."""
    accepted = (resource.status.get("accepted") or {}).get("spec") or {}
    return tuple(dict.fromkeys((*needs.connector_named(resource.spec), *needs.connector_named(accepted))))


async def _validation(
    remote: Remote, url: str, wanted: Mapping[str, str] | None, seen: Seen, held: str | None
) -> Validation | Unknown | None:
    """Ask Connect about a configuration that it does not run yet, unless something has ``held`` that back."""
    if wanted is None or isinstance(seen, Unknown):
        return None
    if isinstance(seen, ConnectorSeen) and plan.is_running(wanted, seen):
        return None
    if held is not None:
        return Unknown(reason=held)
    return await ask(remote.connect.validate(url, wanted))
