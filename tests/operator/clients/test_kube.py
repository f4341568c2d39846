"""What the operator reads of a workload, at a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from headrace_operator.observed.kube import Ended
from tests.cluster.client import ACCOUNT
from tests.cluster.fast import ApiServer
from tests.operator import loops

pytestmark = pytest.mark.apiserver


async def test_a_pod_that_is_being_deleted_says_nothing_of_its_workload(server: ApiServer) -> None:
    """What it says is of an earlier spec; a finalizer keeps it as long as the test looks."""
    server.client.create_namespace("going")
    server.client.create(ACCOUNT, "going")
    for name in ("going-1", "going-2"):
        server.client.create(_pod(name), "going")
    server.client.delete("pod", "going-1", "going", wait=False)

    async with loops.looping(server) as loop:
        found = await loop.remote.kube.children("going", "going", (), "app=going")

    assert [pod.name for pod in found.pods] == ["going-2"]


async def test_a_container_that_has_just_failed_says_why(server: ApiServer) -> None:
    """At once, and not only when it was started for the second time."""
    server.client.create_namespace("failing")
    server.client.create(ACCOUNT, "failing")
    server.client.create(_pod("going-1"), "failing")
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no module named billing"}}
    one = {"name": "one", "state": ended, "ready": False, "restartCount": 0, "image": "one", "imageID": ""}
    status = {"status": {"phase": "Running", "containerStatuses": [one]}}
    server.client.patch("pod", "going-1", status, "failing", part="status")

    async with loops.looping(server) as loop:
        found = await loop.remote.kube.children("failing", "going", (), "app=going")

    (pod,) = found.pods
    assert pod.ended == Ended(code=1, reason="Error")
    assert (pod.message, pod.since is not None) == ("no module named billing", True)


CRASHED: dict[str, object] = {
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "assigned orders/0"}},
    "restartCount": 4,
}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}


@pytest.mark.case("clusters-8")
@pytest.mark.parametrize(
    ("status", "waiting", "ended", "message"),
    [
        (
            {"containerStatuses": [CRASHED]},
            "CrashLoopBackOff",
            Ended(code=137, reason="OOMKilled"),
            "assigned orders/0",
        ),
        ({"phase": "Pending", "conditions": [UNSCHEDULABLE]}, "Unschedulable", None, "0/1 nodes"),
        (
            {"phase": "Pending", "conditions": [{**UNSCHEDULABLE, "reason": "SchedulingGated", "message": "gates"}]},
            "SchedulingGated",
            None,
            "gates",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted", None, "low on memory"),
    ],
)
async def test_how_a_pod_is_and_how_it_ended_is_read(
    server: ApiServer, status: dict[str, Any], waiting: str, ended: Ended | None, message: str
) -> None:
    namespace = f"ended-{waiting.lower()}"
    server.client.create_namespace(namespace)
    server.client.create(ACCOUNT, namespace)
    server.client.create(_pod("going-1"), namespace)
    containers = [
        {"name": "one", "ready": False, "image": "one", "imageID": "", **one}
        for one in status.get("containerStatuses", ())
    ]
    change = {"status": {"phase": "Running", **status, "containerStatuses": containers}}
    server.client.patch("pod", "going-1", change, namespace, part="status")

    async with loops.looping(server) as loop:
        (pod,) = (await loop.remote.kube.children(namespace, "going", (), "app=going")).pods

    assert (pod.waiting_reason, pod.ended, pod.message) == (waiting, ended, message)


def _pod(name: str) -> dict[str, object]:
    metadata = {"name": name, "labels": {"app": "going"}, "finalizers": ["example.com/look"]}
    spec = {"containers": [{"name": "one", "image": "one"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
