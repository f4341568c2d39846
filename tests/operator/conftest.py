"""A real API server with Headrace's kinds, for tests of the effects."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import pytest

from headrace_operator.clients import api, fence
from tests.cluster import fast
from tests.operator.operator_process import install
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an API server on a busy machine take its time to answer what runs in this process."""
    monkeypatch.setattr(api, "READ", aiohttp.ClientTimeout(total=PATIENCE))
    monkeypatch.setattr(api, "WRITE", aiohttp.ClientTimeout(total=PATIENCE, connect=fence.SENT))


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
