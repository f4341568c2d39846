"""Fast mode against the real etcd and API server: ready, guarded by RBAC, audited, and gone at the end."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import lines
from tests.cluster import fast
from tests.cluster.client import Refused, refusal
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def server() -> Iterator[fast.ApiServer]:
    with fast.apiserver() as running:
        yield running
    assert not running.kubeconfig.exists()


def call(server: fast.ApiServer, kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [server.kubectl[0], "kubectl", f"--kubeconfig={kubeconfig}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_it_serves_checks_rights_and_counts_writes(server: fast.ApiServer) -> None:
    assert call(server, server.kubeconfig, "create", "namespace", "shop").returncode == 0
    refused = call(server, server.kubeconfig_for("visitor"), "get", "namespaces")
    assert "Forbidden" in refused.stderr
    until("the write in the audit log", lambda: "shop" in _created(server))


def _created(server: fast.ApiServer) -> list[str]:
    """Return the namespaces that the administrator made."""
    events = lines.events(server.audit_log)
    writes = [event for event in events if event["verb"] == "create" and event["user"]["username"] == "headrace-admin"]
    return [event["objectRef"]["name"] for event in writes if event["objectRef"]["resource"] == "namespaces"]


def test_the_client_does_what_kubectl_does(server: fast.ApiServer) -> None:
    """By any name of a kind; what is refused is an error, also a field that nobody knows, and what one may not do."""
    client = server.client
    client.create_namespace("asked")
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "labels": {"a": "b"}}}
    client.create(made, "asked", dry=True)
    assert not client.exists("cm", "one", "asked")
    client.apply({**made, "data": {"first": "1", "second": "2"}}, "asked")
    client.apply({**made, "data": {"second": "3"}}, "asked")
    client.patch("ConfigMap", "one", {"data": {"third": "4"}}, "asked")

    assert client.get("configmap", "one", "asked")["data"] == {"second": "3", "third": "4"}
    assert [one["kind"] for one in client.list("secrets,configmaps", "asked", labels="a=b")] == ["ConfigMap"]
    assert "already exists" in refusal(partial(client.create, made, "asked"))
    assert ".dta: field not declared" in refusal(partial(client.apply, {**made, "dta": {}}, "asked"))
    assert 'unknown field "dta"' in refusal(partial(client.create, {**made, "dta": {}}, "asked"))
    assert 'User "visitor" cannot create' in refusal(partial(client.create, made, "asked", who="visitor"))
    with pytest.raises(Refused, match="no kind that is called widgets"):
        client.list("widgets")

    client.delete("configmaps", "one", "asked")
    assert not client.exists("configmap", "one", "asked")
