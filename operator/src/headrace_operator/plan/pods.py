"""Pods that meet the *restricted* Pod Security standard, whatever a spec says; and how far a Deployment has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace_operator.plan import drift

USER = 65532

HISTORY = 3
"""Old ReplicaSets that a Deployment keeps, and with them their contracts."""


def pod_security() -> dict[str, Any]:
    """Return the security context of every pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Return the security context of every container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pull_policy(policy: str | None) -> dict[str, Any]:
    """Return the part of a container that says when its image is pulled; without one Kubernetes decides."""
    return {"imagePullPolicy": policy} if policy else {}


def scrape(port: int, *, wanted: bool) -> dict[str, str]:
    """Return the annotations by which a Prometheus without an operator finds a pod's page, where they are wanted."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)} if wanted else {}


def pull_secrets(names: Sequence[str]) -> dict[str, Any]:
    """Return the part of a pod that names the registry's credentials."""
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}


def probe(path: str) -> dict[str, Any]:
    """Return what a probe asks a pod of the runtime."""
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 5}


def rollout(deployment: Mapping[str, Any] | None) -> tuple[int, int, bool]:
    """Return wanted and ready replicas, and whether every pod runs the latest template."""
    if deployment is None:
        return 0, 0, False
    wanted = int(deployment.get("spec", {}).get("replicas") or 0)
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    updated = int(status.get("updatedReplicas") or 0)
    total = int(status.get("replicas") or 0)
    return wanted, int(status.get("readyReplicas") or 0), seen and updated == total and updated >= wanted


def annotated(deployment: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return the annotations of the pods that a Deployment makes."""
    pod = ((deployment or {}).get("spec") or {}).get("template") or {}
    return (pod.get("metadata") or {}).get("annotations") or {}


def counted(ready: int, wanted: int) -> str:
    """Return how many are ready of how many, as a table shows it."""
    return f"{ready}/{wanted}"


def has_template_of(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Tell whether a live Deployment has the pod template of `wanted`; any other object has nothing to roll out."""
    if wanted["kind"] != "Deployment":
        return True
    own = drift.within(drift.ours(live), "spec", "template")
    return drift.is_within(wanted["spec"]["template"], live["spec"].get("template"), own)
