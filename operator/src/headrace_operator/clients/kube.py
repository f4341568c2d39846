"""What the operator reads from and writes to Kubernetes, as what was seen.

It must not decide anything, and values of Secrets leave it only for `headrace_operator.clients.kafka_connections`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from headrace_operator.api import hosts
from headrace_operator.api.schema import ASKED, REQUESTED, TAKE_OVER
from headrace_operator.clients import errors
from headrace_operator.clients.api import APPLY, PATCH, Api, path
from headrace_operator.clients.coalescing import Coalesced
from headrace_operator.clients.remembering import Remembering
from headrace_operator.observed.kube import Children, ContractsSeen, Ended, Manifest, PodSeen, Resource, SecretSeen
from headrace_operator.observed.value import Absent

API_VERSION = "headrace.dev/v1alpha1"
MANAGER = {"fieldManager": "headrace"}
APPLYING = {**MANAGER, "force": "true"}

LONGEST_REQUEST = 100
"""Characters of an annotation that are read; the status repeats them."""

LONGEST_ASKED = 32768
"""Characters of one that are read."""

UNSCHEDULED = (("PodScheduled", "Unschedulable"), ("PodScheduled", "SchedulingGated"))
"""Type and reason of conditions that say why a pod has no node."""

VERSIONS = {
    "Deployment": "apps/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "ReplicaSet": "apps/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}
"""The API version of each kind of child; those of the core group are not named."""


class Kube:
    """Reads and writes of one API server, that of ``cluster``; every method raises `HeadraceError`."""

    def __init__(self, api: Api | Remembering, cluster: str = "") -> None:
        self._api, self._cluster = api, cluster
        self._lists = Coalesced(self._read_lists)

    async def resource(self, kind: str, namespace: str, name: str) -> Resource | Absent:
        """Read one of Headrace's resources live."""
        found = await self._api.get(path(API_VERSION, kind, namespace, name))
        return Absent() if found is None else resource(kind, found, self._cluster)

    async def resources(self, kind: str, namespace: str) -> tuple[Resource, ...]:
        """List all of a kind in ``namespace``, or with "" in all, live.

        The list begins after it was asked for, once for all who ask.
        """
        at = (kind, namespace)
        return (await self._lists.ask([at]))[at]

    async def known(self, kind: str, namespace: str) -> tuple[Resource, ...]:
        """Return those of a kind that are remembered, where something is: perhaps not all; else list them, live."""
        if not isinstance(self._api, Remembering):
            return await self.resources(kind, namespace)
        found = await self._api.all_of(path(API_VERSION, kind, namespace))
        return tuple(resource(kind, one, self._cluster) for one in found)

    async def _read_lists(
        self, wanted: frozenset[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[Resource, ...] | Exception]:
        return dict(zip(wanted, await asyncio.gather(*(self._list(*at) for at in wanted)), strict=True))

    async def _list(self, kind: str, namespace: str) -> tuple[Resource, ...] | Exception:
        try:
            found = await self._api.get(path(API_VERSION, kind, namespace))
        except errors.HeadraceError as error:
            return error
        return tuple(resource(kind, item, self._cluster) for item in (found or {}).get("items", ()))

    async def write_status(self, seen: Resource, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make ``status`` the whole status of this very object, whoever wrote in it; a namesake's UID is refused.

        Returns what the API server kept of it.
        """
        where = path(API_VERSION, seen.kind, seen.namespace, seen.name, "status")
        body = [
            {"op": "test", "path": "/metadata/uid", "value": seen.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        answer = await self._api.send("PATCH", where, query=MANAGER, body=body, form=PATCH)
        return answer.get("status") or {}

    async def apply(self, manifest: Manifest) -> None:
        """Make the object exist exactly so, by server-side apply."""
        meta = manifest["metadata"]
        where = path(manifest["apiVersion"], manifest["kind"], meta["namespace"], meta["name"])
        await self._api.send("PATCH", where, query=APPLYING, body=manifest, form=APPLY)

    async def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete one of Headrace's resources; one that is gone already is well."""
        with contextlib.suppress(errors.Missing):
            await self._api.send("DELETE", path(API_VERSION, kind, namespace, name))

    async def children(
        self,
        namespace: str,
        name: str,
        kinds: Iterable[str],
        selector: str,
        suffices: Callable[[Children], bool] = lambda _: False,
    ) -> Children:
        """Read the objects called ``name`` of these kinds, and the pods of ``selector`` that nobody deletes.

        No pod is read where the objects alone suffice.
        """
        objects: dict[tuple[str, str], Manifest] = {}
        for kind in kinds:
            found = await self.child(namespace, kind, name)
            if not isinstance(found, Absent):
                objects[(kind, name)] = found
        if suffices(Children(objects=objects)):
            return Children(objects=objects)
        pods = await self._api.get(path("v1", "Pod", namespace), labelSelector=selector)
        staying = (item for item in (pods or {}).get("items", ()) if "deletionTimestamp" not in item["metadata"])
        return Children(objects=objects, pods=tuple(_pod(item) for item in staying))

    async def child(self, namespace: str, kind: str, name: str) -> Manifest | Absent:
        """Read one object of a kind that Headrace makes."""
        found = await self._api.get(path(VERSIONS.get(kind, "v1"), kind, namespace, name))
        return Absent() if found is None else found

    async def contracts(self, namespace: str, workload: str, selector: str) -> ContractsSeen:
        """List the ConfigMaps of ``selector``, and after them read what makes pods with them."""
        config_maps = await self._listed("ConfigMap", namespace, selector)
        deployment = await self.child(namespace, "Deployment", workload)
        replica_sets = await self._listed("ReplicaSet", namespace, selector)
        return ContractsSeen(
            config_maps=config_maps,
            workloads=replica_sets if isinstance(deployment, Absent) else (deployment, *replica_sets),
        )

    async def _listed(self, kind: str, namespace: str, selector: str) -> tuple[Manifest, ...]:
        where = path(VERSIONS.get(kind, "v1"), kind, namespace)
        found = await self._api.get(where, labelSelector=selector)
        if found is None:
            raise errors.Unreachable(f"GET {where}: the Kubernetes API server gave no list.")
        return tuple(found["items"])

    async def remove_child(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete this very object; a namesake is refused, and one that is gone already is well."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self._api.send("DELETE", path(VERSIONS.get(kind, "v1"), kind, namespace, name), body=options)
        except errors.Missing:
            return

    async def namespace_uid(self, namespace: str) -> str:
        """Read the UID of a namespace; raises `Invalid` when there is none."""
        found = await self._api.get(f"/api/v1/namespaces/{namespace}")
        if found is None:
            raise errors.Invalid(f"There is no namespace {namespace}.")
        return str(found["metadata"]["uid"])

    async def secret(self, namespace: str, name: str) -> SecretSeen | Absent:
        """Read which keys a Secret has, and where it may be sent."""
        found = await self._api.get(path("v1", "Secret", namespace, name))
        if found is None:
            return Absent()
        allowed = hosts.read(found["metadata"].get("annotations"))
        return SecretSeen(name=name, keys=frozenset(found.get("data") or {}), hosts=allowed)

    async def readable_secrets(self, namespace: str, role: str) -> frozenset[str]:
        """Read which Secrets a Role names; none when there is no such Role."""
        found = await self._api.get(path(VERSIONS["Role"], "Role", namespace, role))
        rules = [rule for rule in (found or {}).get("rules") or () if "secrets" in (rule.get("resources") or ())]
        return frozenset(name for rule in rules for name in rule.get("resourceNames") or ())

    async def secret_values(self, namespace: str, name: str, address: str) -> Mapping[str, bytes]:
        """Read the values of a Secret, for a client to log in with at ``address``, or at several with commas between.

        Raises `Invalid` when there is none, or when it may not be sent there.
        """
        found = await self._api.get(path("v1", "Secret", namespace, name))
        if found is None:
            raise errors.Invalid(f"There is no Secret {name} in namespace {namespace}: create it.")
        if refused := hosts.refusal(name, [address], hosts.read(found["metadata"].get("annotations"))):
            raise errors.Invalid(refused)
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    async def config_map_keys(self, namespace: str, name: str) -> frozenset[str] | Absent:
        """Read which keys a ConfigMap has."""
        found = await self._api.get(path("v1", "ConfigMap", namespace, name))
        return Absent() if found is None else frozenset(found.get("data") or {})

    async def version(self, namespace: str, kind: str, name: str) -> str | Absent:
        """Read which version of a Secret or ConfigMap there is: of a Secret its UID and resourceVersion.

        A digest of what a Secret holds would tell who guesses it that the guess is right.
        """
        found = await self._api.get(path("v1", kind, namespace, name))
        if found is None:
            return Absent()
        if kind == "Secret":
            return f"{found['metadata']['uid']}/{found['metadata']['resourceVersion']}"
        content = json.dumps([found.get("data"), found.get("binaryData")], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    async def note(self, about: Resource, *, kind: str, reason: str, message: str, now: datetime) -> None:
        """Post an Event of type ``kind`` on a resource; the same one again is counted once."""
        digest = hashlib.sha256(f"{about.uid}{reason}{message}{now.isoformat()}".encode()).hexdigest()[:16]
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "metadata": {"name": f"{about.name}.{digest}", "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION, "kind": about.kind, "namespace": about.namespace, "name": about.name,
                "uid": about.uid, "resourceVersion": about.resource_version,
            },
            "type": kind, "reason": reason, "message": message[:1024], "count": 1,
            "firstTimestamp": stamp, "lastTimestamp": stamp, "source": {"component": "headrace"},
        }  # fmt: skip
        await self._api.send("POST", path("v1", "Event", about.namespace), body=body)


def resource(kind: str, manifest: Manifest, cluster: str = "") -> Resource:
    """Read one of Headrace's resources of a Kubernetes cluster from JSON."""
    meta = manifest["metadata"]
    annotations = meta.get("annotations") or {}
    asked: str | None = annotations.get(REQUESTED)
    return Resource(
        kind=kind,
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        resource_version=meta["resourceVersion"],
        labels=meta.get("labels") or {},
        spec=manifest.get("spec") or {},
        status=manifest.get("status") or {},
        deleting="deletionTimestamp" in meta,
        created=meta.get("creationTimestamp"),
        requested=None if asked is None else asked[:LONGEST_REQUEST],
        cluster=cluster,
        asked={name: annotations[one][:LONGEST_ASKED] for name, one in ASKED.items() if annotations.get(one)},
        takes_over=frozenset(one.strip() for one in annotations.get(TAKE_OVER, "").split(",") if one.strip()),
    )


def _pod(manifest: Manifest) -> PodSeen:
    status = manifest.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = [state for one in containers if (state := (one.get("state") or {}).get("waiting"))]
    failed = [end for one in containers if (end := (one.get("state") or {}).get("terminated")) and end.get("exitCode")]
    ended = [*failed, *(end for one in containers if (end := (one.get("lastState") or {}).get("terminated")))]
    unscheduled = [one for one in status.get("conditions") or () if (one.get("type"), one.get("reason")) in UNSCHEDULED]
    said = [one.get("message") for one in (*ended, *waiting, *unscheduled, status)]
    made = manifest["metadata"].get("creationTimestamp")
    return PodSeen(
        name=manifest["metadata"]["name"],
        phase=status.get("phase", "Unknown"),
        ready=any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ()),
        restarts=sum(int(one.get("restartCount", 0)) for one in containers),
        waiting_reason=next((one.get("reason") for one in (*waiting, *failed, *unscheduled, status)), None),
        message=next((text.strip() for text in said if text), None),
        ip=status.get("podIP"),
        ended=Ended(code=int(ended[0]["exitCode"]), reason=ended[0].get("reason")) if ended else None,
        since=datetime.fromisoformat(made) if made else None,
    )
