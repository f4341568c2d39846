"""By which protocol a Consumer's pods share partitions: classic, unless a label on the Consumer chose the other.

What was chosen is kept, so that the label may go; another label is the way back. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from headrace.config import GroupProtocol
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import ConsumerWorld, Reference

LABEL = "headrace.dev/group-protocol"


def chosen(world: ConsumerWorld) -> GroupProtocol:
    """Return the protocol of a Consumer."""
    wish = _named(world.resource.labels.get(LABEL))
    if wish is not None and wish in _possible(world.kafka):
        return wish
    return _named(world.resource.status.get("groupProtocol")) or "classic"


def _named(text: object) -> GroupProtocol | None:
    return cast("GroupProtocol", text) if text in get_args(GroupProtocol) else None


def _possible(kafka: Reference) -> frozenset[str]:
    """Return what the brokers allow; where the login may not ask, it may be either."""
    status: Mapping[str, Any] = kafka.status if isinstance(kafka, Resource) else {}
    told = (status.get("features") or {}).get("groupProtocols")
    return frozenset(get_args(GroupProtocol) if told is None else told)
