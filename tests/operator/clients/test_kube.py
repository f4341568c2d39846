"""What the operator reads of a workload, at a real API server."""

from __future__ import annotations

import json

import pytest

from headrace_operator.observed.kube import Ended
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


async def test_a_container_that_has_just_failed_says_why(server: ApiServer) -> None:
    """At once, and not only when it was started for the second time."""
    kubectl(server, "create", "namespace", "failing")
    kubectl(server, "-n", "failing", "create", "serviceaccount", "default")
    kubectl(server, "-n", "failing", "create", "-f", "-", text=json.dumps(_pod("going-1")))
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no module named billing"}}
    one = {"name": "one", "state": ended, "ready": False, "restartCount": 0, "image": "one", "imageID": ""}
    status = json.dumps({"status": {"phase": "Running", "containerStatuses": [one]}})
    kubectl(server, "-n", "failing", "patch", "pod", "going-1", "--subresource=status", "--type=merge", "-p", status)

    async with loops.looping(server) as loop:
        found = await loop.remote.kube.children("failing", "going", (), "app=going")

    (pod,) = found.pods
    assert pod.ended == Ended(code=1, reason="Error")
    assert (pod.message, pod.since is not None) == ("no module named billing", True)


def _pod(name: str) -> dict[str, object]:
    metadata = {"name": name, "labels": {"app": "going"}, "finalizers": ["example.com/look"]}
    spec = {"containers": [{"name": "one", "image": "one"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
