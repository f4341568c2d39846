"""The command line against a real API server: what each failure is told as, and that no pod is left behind.

There is no node here, so a test plays the kubelet by writing the status of the pod.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.cli import answers
from headrace.letters.reading import Opened
from tests.cluster import fast
from tests.cluster.fast import ApiServer
from tests.operator.operator_process import await_right
from tests.runtime.cli.test_pod import deployment
from tests.runtime.cli.transcripts import letter
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.apiserver

DOCS = Path(__file__).parents[3] / "docs" / "dead-letters.md"
Json = dict[str, Any]


INTERRUPTIBLE = ("env", "--default-signal=INT,HUP")
"""As from a terminal: a shell has what it starts in the background ignore interrupts, these tests included."""

RUN = "from headrace.cli import app; app()"
MEANWHILE = """
from os import getpid, kill
from headrace.cli import app
from kubernetes.client import CoreV1Api
from urllib3.exceptions import ReadTimeoutError

asked = CoreV1Api.{call}

def meanwhile(*given, **named):
    {before}
    answer = asked(*given, **named)
    {after}
    return answer

CoreV1Api.{call} = meanwhile
app()
"""
"""The command, to which something happens right before or after the API server answers a call."""

TOLD = """
from kubernetes.client import CoreV1Api

class Log(list):
    def stream(self, size): return iter(self)
    def release_conn(self): pass

CoreV1Api.read_namespaced_pod_log = lambda *_, **__: Log({lines!r})
"""
"""No kubelet tells what a pod has logged."""


class Shop:
    """A namespace that enforces restricted pods, with the Deployment of one Consumer."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.user = server.kubeconfig_for("ada")
        self.stranger = server.kubeconfig_for("bob")

    def apply(self, *objects: Json) -> None:
        self.server.client.apply(objects)

    def pods(self) -> list[Json]:
        return self.server.client.list("pods", "shop")

    def await_pod(self) -> Json:
        return until("a pod", self.pods)[0]

    def play_kubelet(self, pod: Json, status: Json) -> None:
        self.server.client.patch("pod", pod["metadata"]["name"], {"status": status}, "shop", part="status")

    def start(self, kubeconfig: Path, *words: str, program: str = RUN) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *words, "-n", "shop"]
        return subprocess.Popen(
            [*INTERRUPTIBLE, *command, "--kubeconfig", str(kubeconfig)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )

    def run(self, kubeconfig: Path, *words: str, program: str = RUN) -> tuple[int, str, str]:
        process = self.start(kubeconfig, *words, program=program)
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with fast.apiserver() as server:
        made = Shop(server)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
        account = {"name": "billing-consumer", "namespace": "shop"}
        made.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}, _deployment(), *_rights())
        await_right(server, "ada", "get", "deployments.apps", "shop")
        yield made


def _deployment() -> Json:
    given = deployment()
    metadata = {"name": "billing-consumer", "namespace": "shop"}
    template = given["spec"]["template"]
    template["spec"] = {name: value for name, value in template["spec"].items() if name != "topologySpreadConstraints"}
    for volume in template["spec"]["volumes"]:
        assert volume["name"] == "config"
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": given["spec"]}


def _rights() -> tuple[Json, Json]:
    """The Role that the guide shows, bound to the user: so the guide cannot ask for too little."""
    found = re.search(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found
    role: Json = yaml.safe_load(found.group(1))
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ada", "namespace": "shop"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}],
    }
    return role, binding


def meanwhile(call: str, before: str = "pass", after: str = "pass") -> str:
    """Return the command as a program to which that happens before or after the answer to ``call``."""
    return MEANWHILE.format(call=call, before=before, after=after)


def test_a_missing_right_is_named_with_verb_resource_and_namespace(shop: Shop) -> None:
    code, out, err = shop.run(shop.stranger, "dlq", "list", "billing")
    assert (code, out) == (4, "")
    assert "you may not get deployments.apps billing-consumer in namespace shop" in err


def test_an_unknown_consumer_is_not_found(shop: Shop) -> None:
    code, _, err = shop.run(shop.user, "dlq", "list", "nobody")
    assert code == 3
    assert "no Consumer nobody in namespace shop" in err


def test_a_cluster_without_the_kinds_says_so(shop: Shop) -> None:
    code, _, err = shop.run(shop.user, "status")
    assert code == 3
    assert "does not know kafkaconnections.headrace.dev" in err
    assert "headrace-crds" in err


def test_a_pod_that_cannot_start_is_explained_and_removed(shop: Shop) -> None:
    process = shop.start(shop.user, "redrive", "billing", "--all", "--yes")
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    container = {"name": "consumer", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Pending", "containerStatuses": [{**container, "state": {"waiting": waiting}}]}
    shop.play_kubelet(shop.await_pod(), status)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "ImagePullBackOff: no such image" in err
    assert shop.pods() == []


def once(sample: signal.Signals) -> list[Any]:
    """Return the signals that end a command; `make test` sends this one."""
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [one if one is sample else pytest.param(one, marks=pytest.mark.sweep) for one in endings]


@pytest.mark.parametrize("ending", once(signal.SIGINT))
def test_an_interrupt_removes_the_pod(shop: Shop, ending: signal.Signals) -> None:
    process = shop.start(shop.user, "dlq", "show", "billing", "0/1")
    pod = shop.await_pod()
    assert pod["spec"]["containers"][0]["command"] == ["headrace", "internal", "dlq-show", "0/1"]
    process.send_signal(ending)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert shop.pods() == []


@pytest.mark.parametrize("ending", once(signal.SIGTERM))
def test_an_interrupt_removes_the_pod_whose_name_it_does_not_know_yet(shop: Shop, ending: signal.Signals) -> None:
    """It comes right after the API server has answered, before the command has the answer."""
    program = meanwhile("create_namespaced_pod", after=f"kill(getpid(), {int(ending)})")
    code, _, err = shop.run(shop.user, "dlq", "show", "billing", "0/1", program=program)
    assert (code, err) == (130, "")
    assert shop.pods() == []


@pytest.mark.parametrize("ending", once(signal.SIGHUP))
def test_a_second_interrupt_does_not_end_the_removal(shop: Shop, ending: signal.Signals) -> None:
    program = meanwhile("delete_namespaced_pod", before=f"kill(getpid(), {int(ending)})")
    process = shop.start(shop.user, "redrive", "billing", "--all", "--yes", program=program)
    shop.await_pod()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "")
    assert shop.pods() == []


def test_an_interrupt_amid_the_removal_is_not_lost(shop: Shop) -> None:
    """The errand is done; what it found is not told, as nobody waits for it any more."""
    found = Opened(letter=letter(), value="{}", value_encoding="text", headers=(), resolution=None)
    lines = [answers.encode(one) + "\n" for one in (answers.Found(opened=found), answers.Done(count=1))]
    told = TOLD.format(lines=[line.encode() for line in lines])
    program = told + meanwhile("delete_namespaced_pod", before=f"kill(getpid(), {int(signal.SIGINT)})")
    process = shop.start(shop.user, "dlq", "show", "billing", "0/1", program=program)
    shop.play_kubelet(shop.await_pod(), {"phase": "Running"})
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")
    assert shop.pods() == []


def test_a_pod_is_removed_also_when_the_answer_to_its_creation_is_lost(shop: Shop) -> None:
    program = meanwhile("create_namespaced_pod", after="raise ReadTimeoutError(None, '', 'no answer in time')")
    code, _, err = shop.run(shop.user, "redrive", "billing", "--all", "--yes", program=program)
    assert code == 5
    assert re.search(r"cannot create pods billing-cli-\w+ in namespace shop: the API server \S+ did not answer", err)
    assert shop.pods() == []


def test_nobody_is_asked_where_there_is_no_terminal(shop: Shop) -> None:
    assert shop.run(shop.user, "redrive", "billing")[0] == 2
    assert shop.run(shop.user, "redrive", "billing", "--yes")[0] == 2
    assert shop.run(shop.user, "redrive", "billing", "--offset", "one")[0] == 2
    assert shop.run(shop.user, "redrive", "billing", "--sideways")[0] == 2
    assert shop.pods() == []


def test_an_api_server_that_does_not_answer_is_unreachable(shop: Shop, tmp_path: Path) -> None:
    elsewhere = tmp_path / "kubeconfig"
    elsewhere.write_text(shop.user.read_text().replace(shop.server.url, "https://127.0.0.1:1"))
    code, _, err = shop.run(elsewhere, "dlq", "list", "billing")
    assert code == 5
    assert "https://127.0.0.1:1" in err


def test_a_missing_kubeconfig_is_a_matter_of_usage(shop: Shop, tmp_path: Path) -> None:
    assert shop.run(tmp_path / "none", "status")[0] == 2
