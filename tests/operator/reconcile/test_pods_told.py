"""Why pods are missing, at a real API server: its words about Deployment and pods become those of the resource.

There is no controller and no node here, so the test writes what these would.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from headrace_operator.api.schema import API_VERSION
from headrace_operator.observed.kube import Manifest
from headrace_operator.plan.actions import Apply
from headrace_operator.reconcile.turns import Key
from tests.cluster.client import ACCOUNT
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import kubectl, read
from tests.operator.plan import statuses

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-8")]

KINDS = {"Consumer": "consumer", "ConnectCluster": "connect"}
POLICY = "ValidatingAdmissionPolicy 'images' with binding 'images' denied request: images come from our registry"
SCHEDULER = "0/3 nodes are available: 3 Insufficient memory."
PULL = 'Back-off pulling image "registry.example/shop:1": not found'
KILLED = {"exitCode": 137, "reason": "OOMKilled", "message": "reading"}
ENDED = {"exitCode": 3, "reason": "Error", "message": "no module named billing"}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}}
PODS: dict[str, tuple[dict[str, Any], str]] = {
    "without a node": (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": SCHEDULER}]},
        f"Unschedulable: {SCHEDULER}",
    ),
    "held back by a queue": (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gated"}]},
        "SchedulingGated: gated",
    ),
    "without its image": (
        {"state": {"waiting": {"reason": "ImagePullBackOff", "message": PULL}}},
        f"ImagePullBackOff: {PULL}",
    ),
    "without memory": (
        {"state": BACK_OFF, "lastState": {"terminated": KILLED}, "restartCount": 3},
        "CrashLoopBackOff: ended with 137 (OOMKilled), its memory was used up",
    ),
    "with a fault": (
        {"state": BACK_OFF, "lastState": {"terminated": ENDED}, "restartCount": 3},
        "CrashLoopBackOff: ended with 3: no module named billing",
    ),
}
"""What a pod says of itself, and the words that the resource shall have of it."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_and_what_cannot_start_is_told_in_the_clusters_words(server: ApiServer, kind: str) -> None:
    namespace = f"told-{KINDS[kind]}"
    server.client.create_namespace(namespace)
    server.client.create(ACCOUNT, namespace)
    deployment = _made(server, kind, namespace)
    key = Key(kind, namespace, "told")
    _write(server, namespace, "deployment", deployment["metadata"]["name"], _refused(POLICY))
    loops.passed(server, key)
    assert _said(server, key) == ("PodsRefused", f"1 of 3 pods are ready; the cluster refuses more: {POLICY}", "1/3")

    _write(server, namespace, "deployment", deployment["metadata"]["name"], _partly())
    for name, (status, words) in PODS.items():
        pod = name.replace(" ", "-")
        _pod(server, namespace, pod, deployment, status)
        loops.passed(server, key)
        reason, message, counted = _said(server, key)
        assert (reason, counted) == ("PodsFailing", "0/3"), name
        assert f"Pod {pod}: {words}" in message
        server.client.delete("pod", pod, namespace)
    server.client.delete("namespace", namespace, wait=False)


def _said(server: ApiServer, key: Key) -> tuple[str, str, str]:
    """Return reason and message of the condition, and what `kubectl get` shows of the pods."""
    found = read(server, f"{key.kind}.headrace.dev", key.name, key.namespace)
    (told,) = [one for one in found["status"]["conditions"] if one["type"] == "Deployed"]
    row = kubectl(server, "-n", key.namespace, "get", f"{key.kind}.headrace.dev", key.name, "--no-headers").split()
    assert told["status"] == "False"
    return told["reason"], told["message"], row[2]


def _made(server: ApiServer, kind: str, namespace: str) -> Manifest:
    """Make a resource with the Deployment that a plan makes for it, of three pods, and return that."""
    world = statuses.WORLDS[kind]()
    metadata = {"name": "told", "namespace": namespace}
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(world.resource.spec)}
    server.client.create(body)
    uid = read(server, f"{kind}.headrace.dev", "told", namespace)["metadata"]["uid"]
    owner = worlds.resource(kind, "told", world.resource.spec, uid=uid, namespace=namespace)
    actions = statuses.planned(dataclasses.replace(world, resource=owner)).actions
    (made,) = [one.manifest for one in actions if isinstance(one, Apply) and one.manifest["kind"] == "Deployment"]
    wanted = {**made, "spec": {**made["spec"], "replicas": 3}}
    server.client.apply(wanted)
    return wanted


def _refused(words: str) -> dict[str, Any]:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": words}
    return {**_counts(1), "conditions": [failure]}


def _partly() -> dict[str, Any]:
    return {**_counts(0), "conditions": []}


def _counts(ready: int) -> dict[str, Any]:
    return {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": ready}


def _pod(server: ApiServer, namespace: str, name: str, deployment: Manifest, status: dict[str, Any]) -> None:
    labels = deployment["spec"]["selector"]["matchLabels"]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "one", "image": "one"}]},
    }
    server.client.create(body)
    container: dict[str, Any] = {part: told for part, told in status.items() if part != "conditions"}
    one = {"name": "one", "ready": False, "image": "one", "imageID": "", "restartCount": 0} | container
    whole = {"phase": "Pending", "conditions": status.get("conditions", [])}
    _write(server, namespace, "pod", name, whole | {"containerStatuses": [one] if container else []})


def _write(server: ApiServer, namespace: str, kind: str, name: str, status: dict[str, Any]) -> None:
    server.client.patch(kind, name, {"status": status}, namespace, part="status")
