"""Levels of loggers by the operator's loop, on a real API server: workers are found by their pods' addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from headrace_operator.api.schema import API_VERSION
from headrace_operator.clients.api import Api, connection, path
from headrace_operator.plan import rest
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.fakes.connect import fake_connect
from tests.fakes.connect_loggers import LOGGERS
from tests.operator.crowd import MERGE
from tests.operator.loops import looping, until
from tests.operator.operator_process import read

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]


@pytest.fixture
def place(server: ApiServer) -> str:
    """Make a namespace and return its name."""
    server.client.create_namespace("logging")
    return "logging"


async def run_worker(server: ApiServer, place: str) -> None:
    """Have a pod of the workers of ConnectCluster main, at loopback."""
    metadata = {"name": "main-connect-1", "labels": {"headrace.dev/connect": "main"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    server.client.apply(account, place)
    containers = [{"name": "connect", "image": "connect:1"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}
    api = Api(await connection(str(server.kubeconfig)))
    try:
        await api.send("POST", path("v1", "Pod", place), body=pod)
        told = {"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
        await api.send("PATCH", path("v1", "Pod", place, "main-connect-1", "status"), body=told, form=MERGE)
    finally:
        await api.close()


async def test_levels_are_set_and_given_back_at_the_address_of_a_pod(
    server: ApiServer, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_for(levels: Mapping[str, str]) -> None:
        workers = {"replicas": 1, **({"logLevels": levels} if levels else {})}
        spec: dict[str, Any] = {"kafka": "kafka", "workers": workers}
        made = {"apiVersion": API_VERSION, "kind": "ConnectCluster", "metadata": {"name": "main"}, "spec": spec}
        server.client.apply(made, place)

    def status() -> dict[str, Any]:
        return dict(read(server, "ConnectCluster", "main", place).get("status") or {})

    def condition() -> str | None:
        found = (one["status"] for one in status().get("conditions") or () if one["type"] == "LogLevelsSet")
        return next(found, None)

    key = Key("ConnectCluster", place, "main")
    async with fake_connect() as fake, looping(server) as loop:
        monkeypatch.setattr(rest, "PORT", urlsplit(fake.url).port)
        ask_for({"org.apache.kafka": "ERROR"})
        await until("no worker", lambda: condition() == "Unknown", loop, key)
        await run_worker(server, place)
        await until("levels that are set", lambda: condition() == "True", loop, key)
        assert fake.loggers.levels == {
            **{name: "ERROR" if name.startswith("org.apache.kafka") else level for name, level in LOGGERS.items()},
            "org.apache.kafka": "ERROR",
        }
        assert len(fake.written()) == 1

        ask_for({})
        await until("levels given back", lambda: condition() is None and status(), loop, key)
        assert "logLevelsAtStart" not in status()
        assert {name: fake.loggers.levels[name] for name in LOGGERS} == LOGGERS
        fake.requests.clear()
        await loop.reconcile(key)
        assert fake.requests == []
