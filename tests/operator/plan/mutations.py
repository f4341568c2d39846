"""What admission does to a Deployment as it is applied, in clusters as they are: JSON Patches, by what they are for."""

from __future__ import annotations

from typing import Any

POD = "/spec/template/spec"
CONTAINER = f"{POD}/containers/0"
Patch = list[dict[str, Any]]


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


MUTATIONS: dict[str, Patch] = {
    "a sidecar": [_add(f"{POD}/containers/-", {"name": "mesh", "image": "mesh/proxy:1"})],
    "a sidecar before ours": [_add(f"{POD}/containers/0", {"name": "mesh", "image": "mesh/proxy:1"})],
    "an init container": [_add(f"{POD}/initContainers", [{"name": "mesh-init", "image": "mesh/init:1"}])],
    "a mirror of images": [_add(f"{CONTAINER}/image", "mirror.example/runtime:1")],
    "a digest of an image": [_add(f"{CONTAINER}/image", f"runtime:1@sha256:{'0' * 64}")],
    "tolerations": [_add(f"{POD}/tolerations", [{"key": "dedicated", "operator": "Exists"}])],
    "a credential of the mirror": [_add(f"{POD}/imagePullSecrets", [{"name": "mirror"}])],
    "a proxy": [_add(f"{CONTAINER}/env", [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}])],
    "authorities of the company": [
        _add(f"{POD}/volumes/-", {"name": "authorities", "configMap": {"name": "authorities"}}),
        _add(f"{CONTAINER}/volumeMounts/-", {"name": "authorities", "mountPath": "/etc/ssl/certs"}),
    ],
    "limits": [_add(f"{CONTAINER}/resources/limits/cpu", "2")],
    "more memory": [_add(f"{CONTAINER}/resources/requests/memory", "256Mi")],
    "a class of priority": [_add(f"{POD}/priorityClassName", "shop-high")],
    "a longer end": [_add(f"{POD}/terminationGracePeriodSeconds", 90)],
    "nodes": [_add(f"{POD}/nodeSelector", {"pool": "shop"})],
    "labels and annotations": [
        _add("/metadata/labels/cost-center", "42"),
        _add("/spec/template/metadata/labels/cost-center", "42"),
        _add("/spec/template/metadata/annotations/mesh.example~1inject", "true"),
    ],
    "another spread": [_add(f"{POD}/topologySpreadConstraints/0/maxSkew", 2)],
}
