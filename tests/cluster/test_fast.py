"""Fast mode against the real etcd and API server: ready, guarded by RBAC, audited, and gone at the end."""

import subprocess
from pathlib import Path

import pytest

from tests import lines
from tests.cluster import fast

pytestmark = pytest.mark.apiserver


def call(server: fast.ApiServer, kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [server.kubectl[0], "kubectl", f"--kubeconfig={kubeconfig}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_it_serves_checks_rights_and_counts_writes() -> None:
    with fast.apiserver() as server:
        assert call(server, server.kubeconfig, "create", "namespace", "shop").returncode == 0
        refused = call(server, server.kubeconfig_for("visitor"), "get", "namespaces")
        assert "Forbidden" in refused.stderr
        events = lines.events(server.audit_log)
    writes = [event for event in events if event["verb"] == "create" and event["user"]["username"] == "headrace-admin"]
    assert [event["objectRef"]["name"] for event in writes if event["objectRef"]["resource"] == "namespaces"] == [
        "shop"
    ]
    assert not server.kubeconfig.exists()
