"""Who may reach pods of the runtime, in namespaces of which the chart does not know that they have any."""

from __future__ import annotations

from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.plan.children import child, selector


def only_asked(resource: Resource, name: str) -> Manifest:
    """Return what lets in only what asks pods how they are; in namespaces that it knows the chart makes one for all."""
    spec = {
        "podSelector": {"matchLabels": selector(resource)},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
    }
    return child(resource, "networking.k8s.io/v1", "NetworkPolicy", name, {"spec": spec})
