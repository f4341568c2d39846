"""By which protocol a Consumer's pods share partitions: chosen before the first pods are made, and kept from then on.

A label on the Consumer changes it afterwards: an upgrade of a classic group, or the way back. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from headrace.config import GroupProtocol
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConsumerWorld, Reference
from headrace_operator.plan import names
from headrace_operator.plan.children import own_deployment
from headrace_operator.plan.connectcluster import kafka_spec

LABEL = "headrace.dev/group-protocol"

LEFT_TO_BROKERS = frozenset({"session.timeout.ms", "heartbeat.interval.ms"})
"""Properties of clients that KIP-848 makes settings of the brokers: who sets them, wants the classic protocol."""


def chosen(world: ConsumerWorld) -> GroupProtocol | None:
    """Return the protocol of a Consumer; None while nobody can say which a new one should have."""
    resource = world.resource
    wish = _named(resource.labels.get(LABEL))
    if wish is not None and wish in _possible(world.kafka):
        return wish
    if kept := _named(resource.status.get("groupProtocol")):
        return kept
    if isinstance(world.children, Unknown):
        return None
    if own_deployment(resource, names.consumer_child(resource.name), world.children) is not None:
        return "classic"
    return _for_a_new_one(world.kafka)


def _named(text: object) -> GroupProtocol | None:
    return cast("GroupProtocol", text) if text in get_args(GroupProtocol) else None


def _possible(kafka: Reference) -> frozenset[str]:
    """Return what the brokers allow; where the login may not ask, it may be either."""
    return frozenset(_told(kafka) or get_args(GroupProtocol))


def _for_a_new_one(kafka: Reference) -> GroupProtocol | None:
    spec = kafka_spec(kafka)
    if spec is None or not isinstance(kafka, Resource) or not kafka.status.get("clusterId"):
        return None
    wants_classic = LEFT_TO_BROKERS & (spec.properties or {}).keys()
    return "consumer" if "consumer" in (_told(kafka) or ()) and not wants_classic else "classic"


def _told(kafka: Reference) -> tuple[str, ...] | None:
    status: Mapping[str, Any] = kafka.status if isinstance(kafka, Resource) else {}
    told = (status.get("features") or {}).get("groupProtocols")
    return None if told is None else tuple(told)
