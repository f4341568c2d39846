"""Whose a connector or a group is: what it was made for and in which namespace says its configuration, or each commit.

Several Kubernetes clusters may share one Kafka, and so may have a namespace and a resource of the same names. No two
have a UID in common, and a namespace that is made anew has another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace import names as kafka_names
from headrace_operator.api.schema import TAKE_OVER
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan.conditions import Finding, false, unknown
from headrace_operator.plan.reasons import Reason

RESOURCE = "headrace.resource.uid"
NAMESPACE = "headrace.namespace.uid"

OFFSETS = "headrace.on.delete.offsets"
"""Says Keep where offsets shall outlive the resource, which can no longer be asked then; else they are removed."""

SLOT, PUBLICATION = "headrace.on.delete.slot", "headrace.on.delete.publication"
"""Say Delete where slot and publication, which Headrace named, shall go with the resource."""

UID = r"[A-Za-z0-9-]{1,64}"
"""What may be a UID; whoever reaches Kafka Connect may write other text there."""


def owner(config: Mapping[str, str]) -> str:
    """Return the UID of the resource that what is configured so was made for; empty where it names none."""
    uid = config.get(RESOURCE, "")
    return uid if re.fullmatch(UID, uid) else ""


def mark(resource: Resource, home: str) -> dict[str, str]:
    """Return what says that a connector is made for ``resource``; ``home`` is the UID of its namespace."""
    return {RESOURCE: resource.uid, NAMESPACE: home}


def is_for(config: Mapping[str, str], resource: Resource, home: str | Unknown) -> bool:
    """Tell whether ``resource`` may change what is configured so: it, or nobody else made it, or it goes on with it.

    It goes on with what it takes over, and with what a namesake before it left to be kept. Releases before named no
    namespace, so that what they made is only that very resource's.
    """
    if config.get(RESOURCE) == resource.uid:
        return True
    return _origin(config) in resource.takes_over or (is_at(config, home) and keeps_offsets(config))


def is_left(config: Mapping[str, str], resource: Resource) -> bool:
    """Tell whether a namesake before ``resource`` in its namespace left what is configured so, to leave with offsets.

    Whether it was the same namespace says `is_at`.
    """
    is_another = NAMESPACE in config and config.get(RESOURCE) != resource.uid
    return is_another and _origin(config) not in resource.takes_over and not keeps_offsets(config)


def keeps_offsets(config: Mapping[str, str]) -> bool:
    """Tell whether the offsets of what is configured so shall outlive its resource."""
    return config.get(OFFSETS) == "Keep"


def is_at(config: Mapping[str, str], home: str | Unknown) -> bool:
    """Tell whether what is configured so was made in the namespace whose UID is ``home``."""
    return isinstance(home, str) and config.get(NAMESPACE) == home


def drops_slot(config: Mapping[str, str]) -> bool:
    """Tell whether the slot of what is configured so goes with its resource."""
    return config.get(SLOT) == "Delete"


def drops_publication(config: Mapping[str, str]) -> bool:
    """Tell whether the publication of what is configured so goes with its resource."""
    return config.get(PUBLICATION) == "Delete"


def stranger(name: str, config: Mapping[str, str]) -> str:
    """Say what a connector called ``name`` is that the resource of its name may not change, and what to do."""
    if (origin := _origin(config)) is None:
        return f"Kafka Connect has a connector {name} that Headrace did not make: remove it, or rename this one."
    return (
        f"Kafka Connect has a connector {name} that was made for a namesake in another Kubernetes cluster, or in a "
        "namespace that is gone: it is left alone. Rename this one, or give each cluster a clusterName; or, if that "
        f"namespace is gone and this Connector shall go on with what it left, annotate it with {TAKE_OVER}={origin}"
    )


def _origin(config: Mapping[str, str]) -> str | None:
    """Return the UID of the namespace that a mark names; of the resource where an earlier release wrote it."""
    origin = config.get(NAMESPACE) or config.get(RESOURCE) or ""
    return origin if re.fullmatch(UID, origin) else None


def strange_group(resource: Resource, home: str | Unknown, backlog: BacklogSeen | Unknown) -> Finding | None:
    """Say that pods of another namespace of this name have committed in the group: they may run, and share it out.

    What pods of an earlier release committed says nothing of that.
    """
    origins = frozenset() if isinstance(backlog, Unknown) else backlog.origins
    strange = {one for one in origins - resource.takes_over if one != home}
    if not strange:
        return None
    if isinstance(home, Unknown):
        return unknown("Deployed", Reason.UNKNOWN, home.reason)
    text = (
        f"The group {kafka_names.group(resource.place, resource.name)} is that of a namesake in another Kubernetes "
        "cluster, or in a namespace that is gone: nothing is made. Rename this one, or give each cluster a "
        "clusterName; or, if that namespace is gone and this Consumer shall go on where that one was, annotate it "
        f"with {TAKE_OVER}={','.join(sorted(resource.takes_over | strange))}"
    )
    return false("Deployed", Reason.NAME_TAKEN, text)
