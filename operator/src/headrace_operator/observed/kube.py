"""What the Kubernetes API server was seen to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace import names
from headrace_operator.observed.value import Absent, Unknown

Manifest = Mapping[str, Any]
"""An object as JSON, as the API server returned it or as it shall be applied."""

Input = tuple[str, str]
"""A Secret or ConfigMap that pods read, by kind and name."""

Inputs = Mapping[Input, str | Absent | Unknown]
"""Each with a text that is another one once it was changed; it tells nothing of what a Secret holds."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One of Headrace's own resources as it was read; ``created`` is None of one that is not made yet.

    ``cluster`` names the Kubernetes cluster that it is in, empty where a Kafka has but one.
    ``requested`` is what the annotation says that asks for a pass; ``takes_over`` are the UIDs of namespaces, of which
    one is gone, whose namesake it goes on with. ``asked`` has what annotations ask for once, such as ``restart``.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    deleting: bool
    created: str | None = None
    requested: str | None = None
    takes_over: frozenset[str] = frozenset()
    asked: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""

    @property
    def place(self) -> str:
        """Where on Kafka and Kafka Connect the names of its namespace are."""
        return names.place(self.cluster, self.namespace)

    @property
    def is_edited(self) -> bool:
        """Whether no pass has recorded its spec as it is now."""
        return bool(self.status.get("observedGeneration") != self.generation)

    def condition(self, kind: str) -> Mapping[str, Any] | None:
        """Return the condition of a type; None where it has none."""
        return next((one for one in self.status.get("conditions") or () if one["type"] == kind), None)


@dataclass(frozen=True, kw_only=True)
class SecretSeen:
    """The keys of a Secret that exists, and the ``hosts`` it may be sent to (None: any); no value leaves the client."""

    name: str
    keys: frozenset[str]
    hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a container ended last: its exit code, and Kubernetes' own word for it, such as ``OOMKilled``."""

    code: int
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class PodSeen:
    """What a pod says of itself, and ``since`` when there is one: enough to explain why it is not ready."""

    name: str
    phase: str
    ready: bool
    restarts: int
    waiting_reason: str | None
    message: str | None
    ip: str | None = None
    ended: Ended | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ContractsSeen:
    """The ConfigMaps that were made for a resource, and after them its Deployment and ReplicaSets, all read live."""

    config_maps: tuple[Manifest, ...]
    workloads: tuple[Manifest, ...]


@dataclass(frozen=True, kw_only=True)
class Children:
    """The objects that Headrace made for a resource, live, by kind and name; and the pods of its workload."""

    objects: Mapping[tuple[str, str], Manifest]
    pods: tuple[PodSeen, ...] = ()
