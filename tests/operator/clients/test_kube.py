"""What the operator reads of a workload, at a real API server."""

from __future__ import annotations

import json

import pytest

from tests.cluster.fast import ApiServer
from tests.operator import loops
from tests.operator.operator_process import kubectl

pytestmark = pytest.mark.apiserver


async def test_a_pod_that_is_being_deleted_says_nothing_of_its_workload(server: ApiServer) -> None:
    """What it says is of an earlier spec; a finalizer keeps it as long as the test looks."""
    kubectl(server, "create", "namespace", "going")
    kubectl(server, "-n", "going", "create", "serviceaccount", "default")
    for name in ("going-1", "going-2"):
        kubectl(server, "-n", "going", "create", "-f", "-", text=json.dumps(_pod(name)))
    kubectl(server, "-n", "going", "delete", "pod", "going-1", "--wait=false")

    async with loops.looping(server) as loop:
        found = await loop.remote.kube.children("going", "going", (), "app=going")

    assert [pod.name for pod in found.pods] == ["going-2"]


def _pod(name: str) -> dict[str, object]:
    metadata = {"name": name, "labels": {"app": "going"}, "finalizers": ["example.com/look"]}
    spec = {"containers": [{"name": "one", "image": "one"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
