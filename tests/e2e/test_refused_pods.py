"""What a namespace's quota or range of limits refuses is said by the Consumer whose pods are missing, and shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000), pytest.mark.usefixtures("told")]

NAME, NAMESPACE = "refused-pods", "shop"
CODE = {"refused.py": "def handle(record): ...\n"}


def quota() -> dict[str, Any]:
    """Return a quota with room for one pod more, once no other pod is about to make room."""
    until(
        "the other Consumer's rest",
        lambda: int(world.get(NAMESPACE, "consumers", "billing")["status"]["replicas"]) == 1,
    )
    until("no pod that ends", lambda: not [pod for pod in _counted() if "deletionTimestamp" in pod["metadata"]])
    most = len(_counted()) + 1
    return {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": str(most)}}}


def limits() -> dict[str, Any]:
    """Return a range of limits that ends below that of a Consumer's pod."""
    most = {"type": "Container", "max": {"memory": "400Mi"}}
    return {"apiVersion": "v1", "kind": "LimitRange", "spec": {"limits": [most]}}


@pytest.fixture
def consumer() -> Iterator[dict[str, Any]]:
    """Give a Consumer of three pods; it is removed with what refuses them."""
    handler = {"python": {"function": "refused:handle", "source": {"configMap": NAME}}}
    spec = {**world.get(NAMESPACE, "consumers", "billing")["spec"], "handler": handler, "scale": {"min": 3, "max": 3}}
    yield world.resource("Consumer", NAME, spec)
    kinds = "consumers.headrace.dev,resourcequotas,limitranges,configmaps"
    world.kubectl("-n", NAMESPACE, "delete", kinds, NAME, "--ignore-not-found")
    until("the end of its pods", lambda: not world.listed(NAMESPACE, "pods", f"headrace.dev/consumer={NAME}"))


@pytest.mark.case("clusters-8")
@pytest.mark.parametrize(
    ("refusing", "ready", "words"),
    [(quota, 1, "exceeded quota: refused-pods"), (limits, 0, "maximum memory usage per Container is 400Mi")],
)
def test_missing_pods_are_said_in_the_clusters_words(
    consumer: dict[str, Any], refusing: Any, ready: int, words: str
) -> None:
    code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": CODE}
    world.apply(NAMESPACE, {**refusing(), "metadata": {"name": NAME}}, code, consumer)

    said = until(f"{ready} of 3 pods and why", lambda: _said(f"{ready} of 3 pods are ready; the cluster refuses more"))

    assert words in said
    until("a row that shows it", lambda: _row()[:3] == [NAME, "False", f"{ready}/3"])


def _counted() -> list[dict[str, Any]]:
    """Return the pods that count for a quota: those that have not come to their end."""
    pods = world.listed(NAMESPACE, "pods")
    return [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]


def _row() -> list[str]:
    return world.kubectl("-n", NAMESPACE, "get", "consumers.headrace.dev", NAME, "--no-headers").split()


def _said(begin: str) -> str:
    deployed = world.condition(world.get(NAMESPACE, "consumers", NAME), "Deployed")
    is_it = deployed.get("reason") == "PodsRefused" and deployed["message"].startswith(begin)
    return str(deployed["message"]) if is_it else ""
