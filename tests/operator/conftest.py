"""A real API server with Headrace's kinds, for tests of the effects."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION
from tests.cluster import fast
from tests.operator.operator_process import kubectl


def _await_served(server: fast.ApiServer, plural: str) -> None:
    """Wait until a kind can be listed: for a while after its CRD is established the API server answers 404 or 429."""
    listed = [*server.kubectl, "get", "--raw", f"/apis/{API_VERSION}/{plural}"]
    deadline = time.monotonic() + 20
    while (done := subprocess.run(listed, capture_output=True, text=True, check=False, timeout=20)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server() -> Iterator[fast.ApiServer]:
    """Run etcd and the API server with the kinds installed and the namespaces ``shop`` and ``headrace-system``."""
    with fast.apiserver() as running:
        kubectl(running, "apply", "-f", "-", text=crd.yaml_text())
        kubectl(running, "wait", "--for=condition=Established", "--timeout=20s", "crd", "--all")
        for kind in KINDS:
            _await_served(running, kind.plural)
        for namespace in ("shop", "headrace-system"):
            kubectl(running, "create", "namespace", namespace)
        yield running
