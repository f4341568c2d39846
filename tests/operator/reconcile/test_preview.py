"""``headrace-operator plan``: what would be done, without doing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace_operator.reconcile import preview
from tests.cluster.fast import ApiServer
from tests.operator.operator_process import audited, kubectl
from tests.operator.plan import golden
from tests.waiting import PATIENCE

CONNECT = """
apiVersion: headrace.dev/v1alpha1
kind: KafkaConnection
metadata: {name: kafka}
spec: {bootstrapServers: "127.0.0.1:1"}
---
apiVersion: v1
kind: Secret
metadata: {name: left-out}
---
apiVersion: headrace.dev/v1alpha1
kind: ConnectCluster
metadata: {name: main}
spec: {kafka: kafka, workers: {}}
"""


def run(*arguments: str, text: str = "", kubeconfig: str = "/nowhere") -> subprocess.CompletedProcess[str]:
    """Run ``headrace-operator plan`` in an environment where the chart set nothing."""
    command = [str(Path(sys.executable).parent / "headrace-operator"), "plan", *arguments]
    environment = {"KUBECONFIG": kubeconfig, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
    )


def test_an_example_is_planned_without_a_cluster() -> None:
    """Actions and conditions are told in order, and are those of the committed plan."""
    example = golden.ROOT / "operator/examples/outbox.yaml"
    done = run("--offline", "-n", "shop", "-f", str(example))

    assert done.returncode == 0, done.stderr
    assert done.stdout == (golden.GOLDEN / "outbox.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("--offline",), "a: [", "This is not YAML"),
        (("--offline",), "apiVersion: headrace.dev/v1alpha1\nkind: Consumer", "A Consumer has no metadata.name"),
        ((), CONNECT, "There is no usable kubeconfig"),
    ],
)
def test_what_cannot_be_planned_is_said(arguments: tuple[str, ...], text: str, said: str) -> None:
    """In one sentence, with status 1."""
    done = run(*arguments, "-f", "-", text=text)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reference_that_was_not_given_is_told() -> None:
    """Without a cluster, only the file is there."""
    done = run("--offline", "-f", "-", text=CONNECT.replace("kafka: kafka", "kafka: other"))

    assert "KafkaKnown=False KafkaConnectionNotFound: KafkaConnection other does not exist" in done.stdout
    assert "left-out" not in done.stdout


def test_other_documents_are_left_out() -> None:
    """Only Headrace's own kinds are planned, in the namespace they name or in the given one."""
    assert [(one.kind, one.namespace) for one in preview.resources(CONNECT, "shop")] == [
        ("KafkaConnection", "shop"),
        ("ConnectCluster", "shop"),
    ]


@pytest.mark.apiserver
def test_a_plan_over_a_cluster_writes_nothing(server: ApiServer) -> None:
    """What is there is kept, what is missing is told, and the API server was only read."""
    server.client.create_namespace("previewed")
    kubectl(server, "create", "clusterrolebinding", "reader", "--clusterrole=cluster-admin", "--user=headrace:reader")
    account = str(server.kubeconfig_for("headrace:reader"))
    server.client.apply(CONNECT.split("---", maxsplit=1)[0], "previewed")

    done = run("-n", "previewed", "-f", "-", text=CONNECT.split("---")[2], kubeconfig=account)

    assert done.returncode == 0, done.stderr
    assert " 7. apply Deployment main-connect" in done.stdout
    assert "KafkaKnown=True" in done.stdout
    assert "Answering=False ConnectUnreachable" in done.stdout
    assert {verb for verb, _ in audited(server, "headrace:reader")} <= {"get", "list"}
    assert kubectl(server, "get", "connectclusters,serviceaccounts", "-n", "previewed", "-o", "name") == ""


def test_the_keys_that_a_spec_names_are_assumed_to_be_in_its_secret() -> None:
    """Another key than `username` and `password` is no reason to do nothing."""
    example = (golden.ROOT / "operator/examples/outbox.yaml").read_text()
    named = example.replace("{secret: shop-db}", "{secret: shop-db, usernameKey: user, passwordKey: word}")
    assert named != example

    done = run("--offline", "-n", "shop", "-f", "-", text=named)

    assert "configure connector shop.orders-db" in done.stdout
    assert "CredentialsCurrent=True" in done.stdout
