"""The operator where it watches all namespaces, and the chart's test: by the rights of the charts, and no others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from headrace import config as contract
from headrace_operator.api.kinds import KINDS
from headrace_operator.trial import NAME, Trial
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator import everywhere, worlds
from tests.operator.everywhere import Everywhere
from tests.operator.operator_process import contract as contract_of
from tests.operator.operator_process import kubectl, read
from tests.operator.reconcile.test_conventions import CHILDREN, used
from tests.ports import free_port
from tests.runtime.consumer_process import World, consuming
from tests.waiting import PATIENCE, until

PLACE = "trial"
PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """Run the operator for all namespaces."""
    with everywhere.installed(tmp_path_factory.mktemp("operator")) as running:
        yield running


@pytest.fixture(scope="module")
def kafkas(installed: Everywhere, kafka_broker: KafkaBroker) -> Everywhere:
    """Return it with a namespace that has a Kafka that asks for a login, and one that nobody answers for."""
    kafka_broker.add_user("tester", PASSWORD)
    login = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "kafka-user"}}
    kubectl(installed.server, "create", "namespace", PLACE)
    words = ("create", "secret", "generic", "kafka-user", "-n", PLACE)
    kubectl(installed.server, *words, "--from-literal=username=tester", f"--from-literal=password={PASSWORD}")
    made: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrapServers": kafka_broker.sasl_servers, "sasl": login},
        "nowhere": {"bootstrapServers": "127.0.0.1:1"},
    }
    everywhere.apply(installed.server, [_connection(name, spec) for name, spec in made.items()])
    until("both were asked", lambda: _reasons(installed.server) == ["Ready", "KafkaUnreachable"])
    return installed


@pytest.mark.apiserver
def test_namespaces_come_and_go(installed: Everywhere) -> None:
    """One that comes, and comes again; no right is missing, and nothing of what is gone is told."""
    server, port = installed.server, installed.running.metrics_port
    _await_workers(server, _come(server))
    assert '"late"' in _page(port)

    _go(server)
    until("nothing is told of what is gone", lambda: '"late"' not in _page(port))

    _await_workers(server, _come(server))
    assert used(server)["refused"] == set()


@pytest.mark.apiserver
def test_who_may_view_reads_kinds_and_nothing_of_what_is_in_records(installed: Everywhere) -> None:
    """By the ClusterRoles that Kubernetes adds to its own: no pod, no log, no Secret, and nothing of ours is used."""
    rights = {who: _rights(installed.server, who) for who in ("view", "edit")}
    kinds = {f"{kind.plural}.headrace.dev" for kind in KINDS}

    assert rights["view"] == {kind: {"get", "list", "watch"} for kind in kinds}
    writing = {kind: verbs - {"use"} for kind, verbs in rights["edit"].items()}
    assert writing == {kind: {"create", "update", "patch", "delete"} for kind in kinds}
    assert {kind for kind, verbs in rights["edit"].items() if "use" in verbs} == kinds - {
        "consumers.headrace.dev",
        "outboxrelays.headrace.dev",
        "snapshots.headrace.dev",
    }


@pytest.mark.apiserver
def test_nobody_is_asked_but_who_stands_in_a_resource(kafkas: Everywhere) -> None:
    """No telemetry, and nobody is asked for updates: the operator knows the API server, and Services of workers."""
    asked = {line.split()[0] for line in kafkas.asked.read_text().splitlines()}

    assert {one for one in asked if not one.endswith(".svc")} == {"127.0.0.1"}


@pytest.mark.apiserver
def test_a_record_goes_through(kafkas: Everywhere, kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """By the rights of the chart's test alone, which the admission policies ask for; what it made is gone after it."""
    rights = everywhere.may_test(kafkas.server, f"test.namespace={PLACE}", "test.secrets={kafka-user}")
    process = _trying(rights, "kafka")
    until("pods are wanted", lambda: "headrace-test-consumer" in _deployments(kafkas.server))
    made = contract.load(contract_of(kafkas.server, f"{NAME}-consumer", PLACE)["data"]["config.json"])
    plain = made.model_copy(update={"kafka": contract.Kafka(bootstrap_servers=kafka_broker.bootstrap_servers)})
    asked = tmp_path / "asked"
    world = World(broker=kafka_broker, config=plain, folder=tmp_path)
    with consuming(world, before=everywhere.AUDIT.format(file=str(asked))):
        said, failed = process.communicate(timeout=PATIENCE)

    assert (process.returncode, failed) == (0, "")
    assert said.startswith("A record went from headrace-test.trial of KafkaConnection kafka through a Consumer's pod")
    assert "headrace-test" not in kubectl(kafkas.server, "get", "consumers.headrace.dev", "-n", PLACE, "-o", "name")
    assert {line.split()[0] for line in asked.read_text().splitlines()} == {"127.0.0.1"}


@pytest.mark.apiserver
@pytest.mark.parametrize(
    ("kafka", "values", "why"),
    [
        ("nowhere", (), "KafkaConnection nowhere in namespace trial is not ready (KafkaUnreachable): "),
        ("absent", (), "There is no KafkaConnection absent in namespace trial: make it, or name another"),
        ("kafka", (), "The Secrets of KafkaConnection kafka cannot be read: name them in test.secrets"),
        ("kafka", ("test.secrets={kafka-user}",), "No record went through within 20 s: "),
    ],
)
def test_it_says_in_a_sentence_why_no_record_goes_through(
    kafkas: Everywhere, kafka: str, values: tuple[str, ...], why: str
) -> None:
    """No Kafka, nothing of this name, a right that is missing, and pods that nobody runs; nothing is left behind."""
    rights = everywhere.may_test(kafkas.server, f"test.namespace={PLACE}", f"test.kafka={kafka}", *values)

    said, failed = (process := _trying(rights, kafka, "--within=20")).communicate(timeout=PATIENCE)

    assert (process.returncode, said) == (1, "")
    assert failed.startswith(why)
    assert len(failed.splitlines()) == 1
    assert "headrace-test" not in kubectl(kafkas.server, "get", "consumers.headrace.dev", "-n", PLACE, "-o", "name")


@pytest.mark.apiserver
@pytest.mark.parametrize("endings", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_what_it_made_is_gone_when_it_is_asked_to_end(kafkas: Everywhere, endings: tuple[signal.Signals, ...]) -> None:
    """As when its pod is deleted or its node drained; a second signal does not end the removal."""
    rights = everywhere.may_test(kafkas.server, f"test.namespace={PLACE}", "test.secrets={kafka-user}")
    process = _trying(rights, "kafka")
    until("its Consumer", lambda: kafkas.server.client.exists("consumers.headrace.dev", NAME, PLACE))
    for ending in endings:
        process.send_signal(ending)
    said, failed = process.communicate(timeout=PATIENCE)

    assert (process.returncode, said, failed) == (1, "", "It was asked to end before a record went through.\n")
    assert not kafkas.server.client.exists("consumers.headrace.dev", NAME, PLACE)


@pytest.mark.parametrize(
    ("address", "url"), [("10.0.0.1", "http://10.0.0.1:8080/"), ("fd00::1", "http://[fd00::1]:8080/")]
)
def test_an_address_is_written_as_addresses_of_services_are(address: str, url: str) -> None:
    """One of IPv6 stands in brackets."""
    assert Trial(namespace="shop", kafka="kafka", address=address, port=8080, within=1).url == url


def _connection(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": PLACE}
    return {"apiVersion": "headrace.dev/v1alpha1", "kind": "KafkaConnection", "metadata": meta, "spec": dict(spec)}


def _trying(rights: Path, kafka: str, *more: str) -> subprocess.Popen[str]:
    """Start what the pod of the chart's test runs."""
    program = str(Path(sys.executable).parent / "headrace-operator")
    words = [
        program,
        "try",
        f"--namespace={PLACE}",
        f"--kafka={kafka}",
        "--address=127.0.0.1",
        f"--port={free_port()}",
        *more,
    ]
    environment = {**os.environ, "KUBECONFIG": str(rights)}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _rights(server: ApiServer, who: str) -> dict[str, set[str]]:
    """Return what who is bound to a ClusterRole of ours may do: verbs by resource, but for reviews of oneself."""
    bound = (f"--clusterrole=headrace-{who}", f"--user={who}", "-n", "default")
    kubectl(server, "create", "rolebinding", who, *bound)

    def listed() -> dict[str, set[str]]:
        found = kubectl(server, "auth", "can-i", "--list", "-n", "default", f"--as={who}", "--no-headers")
        rows = re.findall(r"^([a-z]\S+) +\[.*?\] +\[.*?\] +\[(.*)\]$", found, re.MULTILINE)
        return {resource: set(verbs.split()) for resource, verbs in rows if not resource.startswith("self")}

    until("the rights", lambda: bool(listed()))
    return listed()


def _reasons(server: ApiServer) -> list[str]:
    """Return what is said of both, by their names."""
    found = server.client.list("kafkaconnections.headrace.dev", PLACE)
    said = {one["metadata"]["name"]: one["status"].get("conditions", ()) for one in found}
    return [each["reason"] for name in sorted(said) for each in said[name] if each["type"] == "Ready"]


def _deployments(server: ApiServer) -> str:
    return kubectl(server, "get", "deployments", "-n", PLACE, "-o", "name")


def _come(server: ApiServer) -> str:
    """Make the namespace `late` with a ConnectCluster, and return the UID of that."""
    kubectl(server, "create", "namespace", "late")
    kubectl(server, "apply", "-n", "late", "-f", "-", text=worlds.MANIFESTS)
    return str(read(server, "connectcluster", "main", "late")["metadata"]["uid"])


def _await_workers(server: ApiServer, uid: str) -> None:
    """Wait until the ConnectCluster with this UID has its Deployment, which is made last but one."""

    def made() -> bool:
        found = json.loads(kubectl(server, "get", "deployments", "-n", "late", "-o", "json"))["items"]
        return [one["metadata"]["ownerReferences"][0]["uid"] for one in found] == [uid]

    until("workers", made)


def _go(server: ApiServer) -> None:
    """Do what the controller of namespaces would: delete all in it, and then itself."""
    kubectl(server, "delete", "connectclusters,kafkaconnections", "--all", "-n", "late")
    until("children are gone", lambda: _emptied(server))
    kubectl(server, "delete", "namespace", "late", "--wait=false")
    ended = json.loads(kubectl(server, "get", "namespace", "late", "-o", "json")) | {"spec": {"finalizers": []}}
    kubectl(server, "replace", "--raw", "/api/v1/namespaces/late/finalize", "-f", "-", text=json.dumps(ended))
    left = ("get", "namespace", "late", "--ignore-not-found", "-o", "name")
    until("the namespace is gone", lambda: not kubectl(server, *left))


def _emptied(server: ApiServer) -> bool:
    """Delete what the operator made, which a pass that had begun may make again, and tell whether nothing was left."""
    kubectl(server, "delete", CHILDREN, "--all", "-n", "late")
    return not kubectl(server, "get", CHILDREN, "-n", "late", "-o", "name")


def _page(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        return str(answer.read().decode())
