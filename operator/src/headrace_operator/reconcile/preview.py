"""What a pass over each resource of a file would do, as text. It writes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import yaml

from headrace import printable
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, connection
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent
from headrace_operator.plan import assumed, connectcluster, kafkaconnection
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.execute import told
from headrace_operator.reconcile.planned import planned
from headrace_operator.reconcile.remote import opened
from headrace_operator.settings import Settings

NAMES = frozenset(kind.name for kind in KINDS)
Plans = Sequence[tuple[Resource, Plan]]


def resources(text: str, namespace: str, cluster: str = "") -> tuple[Resource, ...]:
    """Return Headrace's resources in YAML ``text``, as if they were new; other documents are left out.

    Those without a namespace get ``namespace``, and all are of ``cluster``. Raises ``ValueError`` for what is not YAML
    or has no name.
    """
    try:
        documents = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    except yaml.YAMLError as error:
        raise ValueError(f"This is not YAML: {error}") from error
    ours = [one for one in documents if one.get("apiVersion") == API_VERSION and one.get("kind") in NAMES]
    return tuple(_resource(one, namespace, cluster) for one in ours)


def _resource(document: Mapping[str, Any], namespace: str, cluster: str) -> Resource:
    meta = document.get("metadata") or {}
    if not meta.get("name"):
        raise ValueError(f"A {document['kind']} has no metadata.name.")
    return Resource(
        kind=document["kind"],
        namespace=meta.get("namespace") or namespace,
        name=meta["name"],
        uid=f"uid-{meta['name']}",
        generation=1,
        resource_version="",
        labels=meta.get("labels") or {},
        spec=document.get("spec") or {},
        status={},
        deleting=False,
        cluster=cluster,
    )


async def offline(given: Iterable[Resource], settings: Settings, now: datetime) -> Plans:
    """Plan each of ``given`` beside the others, as `headrace_operator.plan.assumed` takes the rest to be."""
    every = tuple(given)
    made = []
    for resource in every:
        beside = {(one.kind, one.name): one for one in every if one.namespace == resource.namespace}
        made.append((resource, assumed.plan(resource, beside, settings, now)))
    return made


async def online(given: Iterable[Resource], settings: Settings, now: datetime) -> Plans:
    """Plan each of ``given`` over what is there; raises `HeadraceError` when Kubernetes does not answer."""
    every = tuple(given)
    async with AsyncExitStack() as stack:
        api = Api(await connection(settings.kubeconfig))
        stack.push_async_callback(api.close)
        kube = Beside(api, settings.cluster_name, every)
        remote = await opened(kube, kube, stack)
        made = []
        for one in every:
            resource = await remote.kube.resource(one.kind, one.namespace, one.name)
            assert isinstance(resource, Resource)
            made.append((resource, (await planned(resource, remote, settings, History(), now))[0]))
        return made


class Beside(Kube):
    """The API server as it would be after ``given`` was applied."""

    def __init__(self, api: Api, cluster: str, given: Iterable[Resource]) -> None:
        super().__init__(api, cluster)
        self._given = {(one.kind, one.namespace, one.name): one for one in given}

    async def resource(self, kind: str, namespace: str, name: str) -> Resource | Absent:
        """Read a resource, edited as the file says."""
        live = await super().resource(kind, namespace, name)
        wanted = self._given.get((kind, namespace, name))
        edited = live if wanted is None else _edited(live, wanted)
        if isinstance(edited, Resource) and kind == "KafkaConnection":
            return kafkaconnection.in_force(edited)
        if isinstance(edited, Resource) and kind == "ConnectCluster" and edited.is_edited:
            return connectcluster.in_force(edited)
        return edited

    async def resources(self, kind: str, namespace: str) -> tuple[Resource, ...]:
        """List a kind, with what the file adds."""
        names = {one.name for one in await super().resources(kind, namespace)}
        names |= {name for of, place, name in self._given if (of, place) == (kind, namespace)}
        found = [await self.resource(kind, namespace, name) for name in sorted(names)]
        return tuple(one for one in found if isinstance(one, Resource))


def _edited(live: Resource | Absent, wanted: Resource) -> Resource:
    if isinstance(live, Absent):
        return wanted
    generation = live.generation + (live.spec != wanted.spec)
    return dataclasses.replace(live, spec=wanted.spec, labels=wanted.labels, generation=generation)


def text(plans: Plans) -> str:
    """Return plans for people: of each resource its actions in order, then its conditions."""
    told_of = ("\n".join(map(printable.line, _lines(resource, plan))) for resource, plan in plans)
    return "\n".join(told_of) + "\n"


def _lines(resource: Resource, plan: Plan) -> Iterator[str]:
    yield f"{resource.kind} {resource.namespace}/{resource.name}"
    for number, action in enumerate(plan.actions, start=1):
        yield f"  {number:2}. {told(action)}"
    if not plan.actions:
        yield "      nothing to do"
    for one in plan.status["conditions"]:
        yield f"      {one['type']}={one['status']} {one['reason']}: {one['message']}"
