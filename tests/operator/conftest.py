"""A real API server with Headrace's kinds, for tests of the effects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace_operator.api import crd
from tests.cluster import fast
from tests.operator.operator_process import await_kinds, kubectl


@pytest.fixture(scope="session")
def server() -> Iterator[fast.ApiServer]:
    """Run etcd and the API server with the kinds installed and the namespaces ``shop`` and ``headrace-system``."""
    with fast.apiserver() as running:
        _install(running)
        for namespace in ("shop", "headrace-system"):
            kubectl(running, "create", "namespace", namespace)
        yield running


@pytest.fixture(scope="session")
def second() -> Iterator[fast.ApiServer]:
    """Run those of another cluster, with the kinds installed."""
    with fast.apiserver() as running:
        _install(running)
        yield running


def _install(server: fast.ApiServer) -> None:
    kubectl(server, "apply", "-f", "-", text=crd.yaml_text())
    await_kinds(server)
