"""A Consumer that is paused ends its pods, lets records wait, and goes on with them once it is resumed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster import node
from tests.e2e import world
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000), pytest.mark.case("clusters-13")]

NAMESPACE, NAME, LABELS = "shop", "paused", "headrace.dev/consumer=paused"
CODE = {"paused.py": "import time\n\n\ndef handle(record):\n    time.sleep(0.01)\n"}


@pytest.fixture
def consumer(told: str) -> Iterator[None]:
    """A Consumer of two pods beside the demo's; it is removed with its code."""
    code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": CODE}
    handler = {"python": {"function": "paused:handle", "source": {"configMap": NAME}}}
    spec = {**world.get(NAMESPACE, "consumers", "billing")["spec"], "handler": handler, "scale": {"min": 2, "max": 2}}
    world.apply(NAMESPACE, code, world.resource("Consumer", NAME, spec))
    until("its rest", world.is_ready(NAMESPACE, "consumers", NAME))
    yield
    world.kubectl("-n", NAMESPACE, "delete", "consumers.headrace.dev,configmaps", NAME, "--ignore-not-found")
    until("the end of its pods", lambda: not world.listed(NAMESPACE, "pods", LABELS))


def test_a_pause_ends_its_pods_and_a_resumption_brings_them_back(consumer: None) -> None:
    until("all that was written so far", lambda: _lag() == 0)

    assert _headrace("pause") == f"{NAMESPACE}/{NAME}: paused\n"
    until("no pod", lambda: not world.listed(NAMESPACE, "pods", LABELS))
    until("that it says so", partial(_is, "Paused"))
    until("no pods", lambda: _row()[:3] == [NAME, "True", "0/0"] and "Paused" in _row())

    assert _headrace("resume") == f"{NAMESPACE}/{NAME}: resumed\n"
    until("its two pods", lambda: len(world.listed(NAMESPACE, "pods", LABELS)) == 2)
    until("its rest", partial(_is, "Ready"))
    until("that it says so", lambda: world.get(NAMESPACE, "consumers", NAME)["status"]["replicasReady"] == "2/2")


def _row() -> list[str]:
    return world.kubectl("-n", NAMESPACE, "get", "consumers.headrace.dev", NAME, "--no-headers").split()


def _headrace(verb: str) -> str:
    command = [sys.executable, "-c", "from headrace.cli import app; app()", verb, NAME, "-n", NAMESPACE]
    done = subprocess.run(
        [*command, "--kubeconfig", str(node.kubeconfig())], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout


def _is(reason: str) -> bool:
    found = world.get(NAMESPACE, "consumers", NAME)
    ready = world.condition(found, "Ready")
    return (ready["status"], ready["reason"]) == ("True", reason) and world.is_ready(NAMESPACE, "consumers", NAME)()


def _lag() -> int | None:
    found = world.get(NAMESPACE, "consumers", NAME)["status"].get("lag") or {}
    return found.get("records")
