"""A real API server with Headrace's kinds, for tests of the effects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import fast
from tests.operator.operator_process import install


@pytest.fixture(scope="session")
def server() -> Iterator[fast.ApiServer]:
    """Run etcd and the API server with the kinds installed and the namespaces ``shop`` and ``headrace-system``."""
    with fast.apiserver() as running:
        install(running)
        for namespace in ("shop", "headrace-system"):
            running.client.create_namespace(namespace)
        yield running


@pytest.fixture(scope="session")
def second() -> Iterator[fast.ApiServer]:
    """Run those of another cluster, with the kinds installed."""
    with fast.apiserver() as running:
        install(running)
        yield running
