"""The contract of pods as an immutable ConfigMap that is named by what it holds; and which of them are used no more.

A pod that starts anew while others are replaced reads what it was made for: nothing is written over.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace_operator.observed.kube import ContractsSeen, Manifest, Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import inputs
from headrace_operator.plan.actions import Remove
from headrace_operator.plan.children import child, controls, digest


def config_map(owner: Resource, workload: str, data: Mapping[str, str]) -> Manifest:
    """Return the ConfigMap of ``data`` that pods of ``workload`` read; other data has another name."""
    return child(owner, "v1", "ConfigMap", f"{workload}-{digest(data)}", {"immutable": True, "data": data})


def name(contract: Manifest) -> str:
    """Return the name of a contract."""
    return str(contract["metadata"]["name"])


def removals(owner: Resource, seen: ContractsSeen | Unknown | None, wanted: Manifest | None) -> tuple[Remove, ...]:
    """Return the removal of each ConfigMap of ``owner`` but ``wanted`` that no pod, now or later, is made with.

    Pods are made by ReplicaSets, of which the Deployment's is not there yet when it was just applied.
    """
    if not isinstance(seen, ContractsSeen):
        return ()
    used = {named for one in seen.workloads for _, named in inputs.named(one["spec"]["template"])}
    used |= set() if wanted is None else {name(wanted)}
    return tuple(
        Remove(kind="ConfigMap", namespace=owner.namespace, name=name(one), uid=one["metadata"]["uid"])
        for one in seen.config_maps
        if controls(owner, one) and name(one) not in used
    )
