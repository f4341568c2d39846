"""How the pods of a resource outlive the loss of a node and a drain: apart from one another, evicted one at a time."""

from __future__ import annotations

from typing import Any

from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.plan.children import child, selector


def spread(owner: Resource, component: str = "") -> dict[str, Any]:
    """Return the part of a pod that wants it on another node than its peers; a lack of nodes keeps no pod waiting.

    Pods of an earlier template do not count, or those that replace them would end up together.
    """
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(owner, component)},
        "matchLabelKeys": ["pod-template-hash"],
    }
    return {"topologySpreadConstraints": [constraint]}


def budget(owner: Resource, name: str) -> Manifest:
    """Return the object that lets drains evict one pod of `owner` at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector(owner)}}
    return child(owner, "policy/v1", "PodDisruptionBudget", name, {"spec": spec})
