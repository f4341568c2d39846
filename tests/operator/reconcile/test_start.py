"""The operator as a process whose surroundings come late, go away, or break: it waits, serves, or ends and says why."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import fast
from tests.cluster.fast import ApiServer
from tests.operator import worlds
from tests.operator.operator_process import Operator, install, operator, read, relayed
from tests.probes import asked
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.apiserver

KAFKA = """
apiVersion: headrace.dev/v1alpha1
kind: KafkaConnection
metadata: {name: kafka, namespace: shop}
spec: {bootstrapServers: "127.0.0.1:1"}
"""
RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator}
rules:
- {apiGroups: [headrace.dev, apps], resources: ["*"], verbs: [get, list, watch, patch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects: [{kind: User, name: "headrace:late", apiGroup: rbac.authorization.k8s.io}]
"""


@pytest.fixture
def bare() -> Iterator[ApiServer]:
    """Run an API server without Headrace's kinds; only the operator's own namespace is there."""
    with fast.apiserver() as running:
        running.client.create_namespace("headrace-system")
        yield running


def is_ready(running: Operator) -> bool:
    """Tell whether every watch is open."""
    return asked(running.metrics_port, "/readyz")[0] == 200


def is_served(server: ApiServer) -> bool:
    """Tell whether the KafkaConnection has its conditions."""
    return "conditions" in read(server, "kafkaconnection", "kafka").get("status", {})


def test_kinds_and_a_namespace_that_come_after_the_start_are_served(bare: ApiServer, tmp_path: Path) -> None:
    """Meanwhile it is alive, not ready, and says what to install."""
    with operator(bare, tmp_path) as running:
        until("it waits", lambda: "install the chart headrace-crds" in asked(running.metrics_port, "/readyz")[1])
        until("it says which", lambda: "consumers.headrace.dev" in running.log.read_text())
        assert asked(running.health_port, "/healthz")[0] == 200

        install(bare)
        until("ready", lambda: is_ready(running))
        bare.client.create_namespace("shop")
        bare.client.apply(KAFKA)
        until("served", lambda: is_served(bare))
        assert asked(running.health_port, "/healthz")[0] == 200
        assert running.stop() == 0, running.log.read_text()


def test_a_role_that_comes_after_the_start_is_used(bare: ApiServer, tmp_path: Path) -> None:
    """A missing right is waited for, however long; the answer says which watch is missing."""
    install(bare)
    bare.client.create_namespace("shop")
    bare.client.apply(KAFKA)
    bare.client.apply(RIGHTS, "headrace-system")
    with operator(bare, tmp_path, kubeconfig=bare.kubeconfig_for("headrace:late")) as running:
        until("it waits", lambda: "shop/consumers" in asked(running.metrics_port, "/readyz")[1])
        until("it says why", lambda: "cannot list resource" in running.log.read_text())
        bare.client.apply(RIGHTS, "shop")
        until("ready", lambda: is_ready(running))
        until("served", lambda: is_served(bare))
        assert running.stop() == 0, running.log.read_text()


def test_a_kind_that_is_removed_ends_the_process_and_the_next_one_waits(bare: ApiServer, tmp_path: Path) -> None:
    """Kubernetes starts it anew; its connectors and children are left alone."""
    install(bare)
    bare.client.create_namespace("shop")
    with operator(bare, tmp_path) as running:
        until("ready", lambda: is_ready(running))
        bare.client.delete("crd", "consumers.headrace.dev")
        assert running.process.wait(PATIENCE) > 0, running.log.read_text()
    with operator(bare, tmp_path, name="two") as running:
        until("it waits", lambda: "consumers.headrace.dev" in asked(running.metrics_port, "/readyz")[1])
        assert running.stop() == 0, running.log.read_text()


def test_a_bug_in_the_queue_ends_the_process(server: ApiServer, tmp_path: Path) -> None:
    """A bug beside kopf is not swallowed by it: the status is 1, and the log has the traceback."""
    server.client.apply(KAFKA)
    bug = (
        "from headrace_operator.reconcile.loop import Loop\n"
        "async def reconcile(self, key): raise LookupError('a bug')\n"
        "Loop.reconcile = reconcile\n"
        "from headrace_operator.cli import app; app(['run'])"
    )
    with operator(server, tmp_path, program=bug) as running:
        assert running.process.wait(PATIENCE) == 1
    assert "LookupError: a bug" in running.log.read_text()


@pytest.mark.case("clusters-1")
def test_a_name_that_is_asked_for_at_an_orderly_stop_is_no_fault(server: ApiServer, tmp_path: Path) -> None:
    """DNS is slow and says that Kafka Connect's name is unknown only after the stop began: the status is 0."""
    server.client.apply(worlds.MANIFESTS, "shop")
    slow = (
        "import socket, time\n"
        "ask = socket.getaddrinfo\n"
        "def slowly(host, *rest, **more):\n"
        "    if 'main-connect' not in str(host): return ask(host, *rest, **more)\n"
        "    print('asked for', host, flush=True)\n"
        "    time.sleep(3)\n"
        "    raise socket.gaierror(socket.EAI_NONAME, 'not known')\n"
        "socket.getaddrinfo = slowly\n"
        "from headrace_operator.cli import app; app(['run'])"
    )
    with operator(server, tmp_path, program=slow) as running:
        until("it asks", lambda: "asked for" in running.log.read_text())
        assert running.stop() == 0, running.log.read_text()


def test_a_silent_api_server_is_outlived(server: ApiServer, tmp_path: Path) -> None:
    """For 25 s nothing answers: the operator stays alive, does not lead at the end, and then goes on."""
    server.client.apply(KAFKA)
    with relayed(server, tmp_path) as relay, operator(server, tmp_path, kubeconfig=relay.kubeconfig) as running:
        until("ready", lambda: is_ready(running))
        os.kill(relay.pid, signal.SIGSTOP)
        until("it yields", lambda: "headrace_operator_leader 0.0" in asked(running.metrics_port, "/metrics")[1])
        os.kill(relay.pid, signal.SIGCONT)
        until("it leads", lambda: "headrace_operator_leader 1.0" in asked(running.metrics_port, "/metrics")[1])
        server.client.patch("kafkaconnection", "kafka", {"spec": {"bootstrapServers": "127.0.0.1:2"}}, "shop")
        generation = read(server, "kafkaconnection", "kafka")["metadata"]["generation"]
        until("seen", lambda: read(server, "kafkaconnection", "kafka")["status"]["observedGeneration"] == generation)
        assert running.stop() == 0, running.log.read_text()
