"""The charts on a real API server: CRDs outlive the operator, and every pod passes the *restricted* standard."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.cli.laptop import errand_pod
from headrace_operator.plan.actions import Apply
from headrace_operator.plan.names import agent_child
from tests.charts.rendering import CHART, CHARTS, IMAGES, Done, of, render
from tests.cluster import build, fast
from tests.cluster.client import ACCOUNT, refusal
from tests.operator import worlds
from tests.operator.operator_process import await_kinds, kubectl
from tests.operator.plan import golden, statuses, templates
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.apiserver
CRDS = CHARTS / "headrace-crds"
OUTBOX = golden.ROOT / "operator/examples/outbox.yaml"
PODS = (
    "operator",
    "outbox-main",
    "outbox-billing",
    "client-certificate-mtls",
    "client-certificate-stock",
    "connector-defaults-defaulted",
    "kafka-oauth-oauth",
    "kafka-oauth-ledger",
    "log-levels-talkative",
    "outbox-relay-shipping",
    "outbox-relay-parcels",
    "payments-in-order-payments",
    "protected-connect-orders",
    "python-database-ledger",
    "shared-kafka-returns",
    "shipments-by-key-shipments",
    "source-agent-watched",
    "source-agent-watched-agent",
    "tables-python-greeting",
    "take-over-tracking",
    "every-field-of-a-template",
    "errand",
    "helm-test",
)
ENFORCE = "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def server() -> Iterator[fast.ApiServer]:
    """Run an API server that knows nothing of Headrace yet."""
    with fast.apiserver() as running:
        yield running


def helm(server: fast.ApiServer, *arguments: str) -> Done:
    argv = [str(build.folder() / "helm"), f"--kubeconfig={server.kubeconfig}", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done


def test_an_upgrade_changes_definitions_and_no_uninstall_loses_a_resource(
    server: fast.ApiServer, tmp_path: Path
) -> None:
    server.client.create_namespace("shop")
    helm(server, "install", "headrace-crds", str(CRDS))
    said = helm(server, "install", "headrace", str(CHART), "-n", "headrace-system", "--create-namespace",
                "--set", "watch.namespaces={shop}", *IMAGES).stdout  # fmt: skip
    await_kinds(server)
    connection = next(yaml.safe_load_all(OUTBOX.read_text()))
    server.client.apply(connection, "shop")

    later = shutil.copytree(CRDS, tmp_path / "headrace-crds")
    for path in (later / "templates").iterdir():
        path.write_text(path.read_text().replace("name: Ready", "name: Well", 1))
    helm(server, "upgrade", "headrace-crds", str(later))
    helm(server, "uninstall", "headrace", "-n", "headrace-system")
    helm(server, "uninstall", "headrace-crds")

    assert "Headrace watches: shop" in said
    until("later columns", lambda: "WELL" in kubectl(server, "get", "kafkaconnections.headrace.dev", "-n", "shop"))
    assert kubectl(server, "get", "headrace", "-n", "shop", "-o", "name").split() == [
        "kafkaconnection.headrace.dev/kafka"
    ]
    assert (
        kubectl(
            server, "get", "deployments,roles,rolebindings", "-A", "-o", "name", "-l", "app.kubernetes.io/name=headrace"
        )
        == ""
    )


def pods() -> dict[str, dict[str, Any]]:
    """Return every pod that Headrace makes, by what it is: each time anew, to be changed."""
    return copy.deepcopy(_pods())


@cache
def _pods() -> dict[str, dict[str, Any]]:
    (operator,) = of("Deployment", render())
    made = {"operator": operator}
    for example in golden.EXAMPLES:
        for resource, plan in golden.plans(example):
            for action in plan.actions:
                if isinstance(action, Apply) and action.manifest["kind"] == "Deployment":
                    of_agent = "-agent" if action.manifest["metadata"]["name"] == agent_child(resource.name) else ""
                    made[f"{example.stem}-{resource.name}{of_agent}"] = json.loads(json.dumps(action.manifest))
    found = {name: _pod(deployment) for name, deployment in made.items()}
    errand = errand_pod.manifest(made["outbox-billing"], "billing", ["headrace", "internal"], "1")
    (test,) = of("Pod", render(tests=True))
    found["helm-test"] = {**test, "metadata": {}}
    return found | {"errand": {**errand, "metadata": {"name": "errand"}}, "every-field-of-a-template": _whole()}


def _whole() -> dict[str, Any]:
    """Return a pod with all that a user can give it; its classes are not those of the cluster."""
    given = {**templates.OF_CONSUMER, "priorityClassName": None, "runtimeClassName": None}
    spec = {**worlds.CONSUMER.spec, "template": given}
    plan = statuses.planned(statuses.changed(worlds.consumer_world(), spec=spec))
    (made,) = [one.manifest for one in plan.actions if isinstance(one, Apply) and one.manifest["kind"] == "Deployment"]
    return _pod(json.loads(json.dumps(made)))


def _pod(deployment: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": deployment["spec"]["template"]["spec"]}


@pytest.fixture(scope="module")
def restricted(server: fast.ApiServer) -> fast.ApiServer:
    """Return the server with a namespace that refuses every pod that is not restricted."""
    metadata = {"name": "restricted", "labels": {ENFORCE: "restricted"}}
    server.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for name in {one["spec"]["serviceAccountName"] for one in pods().values()}:
        server.client.create({**ACCOUNT, "metadata": {"name": name}}, "restricted")
    return server


@pytest.mark.parametrize("name", PODS)
def test_every_pod_is_admitted_where_the_restricted_standard_is_enforced(restricted: fast.ApiServer, name: str) -> None:
    assert _refusal(restricted, name, pods()[name]) == ""


def test_a_pod_that_may_run_as_root_is_not_admitted(restricted: fast.ApiServer) -> None:
    """So that the admissions above mean something."""
    one = pods()["operator"]
    one["spec"]["securityContext"]["runAsNonRoot"] = False

    assert 'violates PodSecurity "restricted' in _refusal(restricted, "root", one)


def test_the_chart_installs_where_the_restricted_standard_is_enforced(server: fast.ApiServer) -> None:
    """In the namespace of the operator, as its README says; pods that would be refused are told as a warning."""
    labels = {ENFORCE: "restricted", ENFORCE.replace("enforce", "warn"): "restricted"}
    metadata = {"name": "headrace-restricted", "labels": labels}
    server.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    done = helm(server, "install", "headrace", str(CHART), "-n", "headrace-restricted", *IMAGES)
    argv = [*server.kubectl, "create", "deployment", "root", "--image=x", "-n", "headrace-restricted"]
    root = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE)
    helm(server, "uninstall", "headrace", "-n", "headrace-restricted")

    assert "violate PodSecurity" in root.stderr
    assert "violate PodSecurity" not in done.stderr


def test_no_pod_was_forgotten() -> None:
    assert set(pods()) == set(PODS)


def _refusal(server: fast.ApiServer, name: str, one: dict[str, Any]) -> str:
    whole = {**one, "metadata": {**one["metadata"], "name": name}}
    return refusal(partial(server.client.create, whole, "restricted", dry=True))
