"""A pass that somebody asks for by an annotation, at a real API server: made once, and acknowledged in the status."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace_operator.api.schema import API_VERSION, REQUESTED
from headrace_operator.clients.errors import Unreachable
from headrace_operator.observed.kube import Resource
from headrace_operator.reconcile.turns import Key
from tests.cluster.fast import ApiServer
from tests.operator import loops, worlds
from tests.operator.operator_process import operator, read
from tests.operator.plan import statuses
from tests.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.case("clusters-13")]


def made(server: ApiServer, kind: str, name: str, spec: dict[str, Any] | None = None) -> Key:
    """Make a resource of a kind, whose references are not there."""
    wanted = dict(spec or statuses.WORLDS[kind]().resource.spec)
    metadata = {"name": name, "namespace": "shop"}
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": wanted}
    server.client.create(body)
    return Key(kind, "shop", name)


def ask(server: ApiServer, key: Key, word: str) -> None:
    server.client.patch(key.kind, key.name, {"metadata": {"annotations": {REQUESTED: word}}}, key.namespace)


def seen(server: ApiServer, key: Key) -> dict[str, Any]:
    return read(server, f"{key.kind}.headrace.dev", key.name)


@pytest.mark.parametrize("kind", statuses.WORLDS)
def test_a_pass_answers_each_request_once(server: ApiServer, kind: str) -> None:
    key = made(server, kind, f"asked-{kind.lower()}")
    loops.passed(server, key)
    assert "lastHandledRequest" not in seen(server, key)["status"]

    ask(server, key, "2026-01-02T03:04:05Z")
    loops.passed(server, key)
    first = seen(server, key)["status"]
    ask(server, key, "x" * 1000)
    loops.passed(server, key)
    last = seen(server, key)["status"]
    server.client.patch(kind, key.name, {"metadata": {"annotations": {REQUESTED: None}}}, key.namespace)
    loops.passed(server, key)

    assert first["lastHandledRequest"] == "2026-01-02T03:04:05Z"
    assert last["lastHandledRequest"] == "x" * 100
    assert seen(server, key)["status"]["lastHandledRequest"] == "x" * 100
    server.client.delete(f"{kind}.headrace.dev", key.name, "shop")


class Silent:
    """A client of which nothing can be read but how a ConnectCluster was before it was asked for anything."""

    async def resource(self, kind: str, namespace: str, name: str) -> Resource:
        """Return what is over."""
        if kind != "ConnectCluster":
            raise Unreachable("nothing is remembered")
        return dataclasses.replace(worlds.CONNECT, namespace=namespace, name=name, status={})

    def __getattr__(self, _: str) -> Any:
        async def read(*_: object) -> None:
            raise Unreachable("nothing is remembered")

        return read


def test_a_pass_that_is_asked_for_reads_live_what_others_may_remember(server: ApiServer) -> None:
    key = made(server, "ConnectCluster", "asked-live")
    loops.passed(server, key, near=Silent())
    before = seen(server, key)["status"]
    ask(server, key, "now")
    loops.passed(server, key, near=Silent())
    after = seen(server, key)["status"]

    reasons = [
        next(one["reason"] for one in status["conditions"] if one["type"] == "KafkaKnown") for status in (before, after)
    ]
    assert reasons[0] == "Unknown" != reasons[1]
    server.client.delete("connectclusters.headrace.dev", key.name, "shop")


@pytest.mark.slow
def test_the_operator_sees_it_by_itself(server: ApiServer, tmp_path: Path) -> None:
    key = made(server, "KafkaConnection", "asked", {"bootstrapServers": "127.0.0.1:1"})
    with operator(server, tmp_path, name="asked") as running:
        until("a first pass", lambda: "conditions" in seen(server, key)["status"])
        for word in ("once", "again"):
            ask(server, key, word)
            until(word, partial(_is_handled, server, key, word))
        assert running.stop() == 0
    server.client.delete("hrkafka", key.name, "shop")


def _is_handled(server: ApiServer, key: Key, word: str) -> bool:
    return bool(seen(server, key)["status"].get("lastHandledRequest") == word)
