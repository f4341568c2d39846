"""The operator runs: against a real API server it says what it sees, writes nothing twice, and ends when asked."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cluster.fast import ApiServer
from tests.operator.operator_process import audited, kubectl, operator, read, told
from tests.waiting import until

pytestmark = pytest.mark.apiserver

WORLD = """
apiVersion: headrace.dev/v1alpha1
kind: KafkaConnection
metadata: {name: kafka, namespace: shop}
spec: {bootstrapServers: "127.0.0.1:1"}
---
apiVersion: headrace.dev/v1alpha1
kind: Consumer
metadata: {name: billing, namespace: shop}
spec:
  from: {kafka: kafka, topics: [orders]}
  handler: {http: {url: "http://billing:8080/events"}}
"""


DEAD = "KafkaUnreachable"
KAFKA = "127.0.0.1:1 "


def told_dead(server: ApiServer, kind: str, name: str, condition: str) -> bool:
    """Whether a condition says that the Kafka of this test does not answer, not one that was there before."""
    found = read(server, kind, name).get("status", {}).get("conditions", [])
    return any((one["type"], one["reason"]) == (condition, DEAD) and KAFKA in one["message"] for one in found)


def writes(server: ApiServer) -> list[str]:
    """Return what the operator wrote, Leases left out."""
    return [
        f"{verb} {what}"
        for verb, what in audited(server, "headrace:operator")
        if verb not in ("get", "list", "watch") and not what.startswith("leases/")
    ]


def test_a_consumer_whose_kafka_is_dead_is_explained_and_left_in_peace(server: ApiServer, tmp_path: Path) -> None:
    """Conditions appear within 10 s, an unchanged world makes no writes, SIGTERM ends with 0."""
    kubectl(
        server, "create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", "--user=headrace:operator"
    )
    account = server.kubeconfig_for("headrace:operator")
    with operator(server, tmp_path, kubeconfig=account) as running:
        server.client.apply(WORLD)
        until("unreachable", lambda: told_dead(server, "kafkaconnection", "kafka", "Reachable"))
        until(running.log.read_text(), lambda: told_dead(server, "consumer", "billing", "Ready"))
        url = f"http://127.0.0.1:{running.metrics_port}/"
        until("ready", lambda: _is_ready(url))
        page = urllib.request.urlopen(f"{url}metrics").read().decode()
        assert 'headrace_resource_condition{condition="Ready",kind="Consumer",name="billing"' in page

        _wait_for_passes(url, 1)
        quiet = len(writes(server))
        _wait_for_passes(url, 2)
        assert writes(server)[quiet:] == [], "\n".join(told(server, "headrace:operator")[-3:])
        assert running.stop() == 0, running.log.read_text()
    assert "Traceback" not in running.log.read_text()


def _is_ready(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}readyz").status == 200)
    except urllib.error.HTTPError:
        return False


def _passes(url: str, kind: str) -> float:
    page = urllib.request.urlopen(f"{url}metrics").read().decode()
    counts = [line for line in page.splitlines() if line.startswith("headrace_operator_reconciliations_total")]
    return sum(float(line.split()[-1]) for line in counts if f'kind="{kind}"' in line)


def _wait_for_passes(url: str, count: int) -> None:
    kinds = ("KafkaConnection", "Consumer")
    wanted = {kind: _passes(url, kind) + count for kind in kinds}
    until(f"{count} more passes of each kind", lambda: all(_passes(url, kind) >= wanted[kind] for kind in kinds))
