"""What may be remembered of Kubernetes saves requests; what cannot be undone rests on what is there now."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from headrace_operator.clients.api import connection
from headrace_operator.observed.kube import Children
from headrace_operator.reconcile.observe.connections import all_run, inputs
from headrace_operator.reconcile.remote import Remote
from tests.cluster import fast
from tests.fakes.connect import fake_connect
from tests.operator import crowd, worlds
from tests.operator.operator_process import Operator, audited, contract, install, kubectl, operator
from tests.operator.reconcile.test_connector_life import NAME, Life, Shelf, life
from tests.waiting import PATIENCE

__all__ = ["life"]

pytestmark = pytest.mark.case("clusters-2")

SIZE = 4
USER = "headrace:operator"


async def test_a_connector_is_removed_by_what_is_there_and_not_by_what_is_remembered(life: Life) -> None:
    """Memory has a Connector that is gone, and lacks one that is there: only the first one's is removed."""
    await life.look(3)
    stale = Shelf(objects=dict(life.shelf.objects), secrets={}, made=life.shelf.made)
    life.remote = dataclasses.replace(life.remote, near=cast(Any, stale))
    gone = life.shelf.objects["Connector", "orders-db"]
    del stale.objects["Connector", "orders-db"]
    kept = await life.look_at_workers()
    stale.put(gone)
    del life.shelf.objects["Connector", "orders-db"]
    removed = await life.look_at_workers(4)

    assert kept == []
    assert removed[-1] == f"DELETE /connectors/{NAME}"


async def test_a_secret_may_be_remembered_only_while_its_connector_runs_as_wanted(life: Life) -> None:
    """It is read live once anything is amiss: a key that memory lacks, a connector that runs otherwise, an edit."""
    await life.look(3)
    shelf, known = life.shelf, life.shelf.secrets["shop-db"]
    stale = Shelf(objects=shelf.objects, secrets={"shop-db": known}, made=shelf.made)
    life.remote = dataclasses.replace(life.remote, near=cast(Any, stale))
    shelf.secrets["shop-db"] = dataclasses.replace(known, hosts=("elsewhere",))
    await life.look()
    assert life.condition("Ready")["status"] == "True"
    life.edit(config={"poll.interval.ms": "123"})
    await life.look()
    assert life.condition("Accepted")["reason"] == "HostNotAllowed"

    shelf.secrets["shop-db"] = known
    stale.secrets["shop-db"] = dataclasses.replace(known, keys=frozenset({"username"}))
    await life.look(3)
    assert life.condition("CredentialsCurrent")["status"] == "True"
    stale.secrets["shop-db"], shelf.secrets = known, {}
    life.fake.connectors.clear()
    await life.look()
    assert life.condition("CredentialsCurrent")["reason"] == "SecretNotFound"
    assert not life.fake.connectors


@pytest.mark.parametrize(
    ("status", "well"),
    [
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 1}, True),
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1, "observedGeneration": 1}, False),
        ({"replicas": 3, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 1}, False),
        ({"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 0}, False),
        ({}, False),
    ],
)
def test_pods_are_asked_why_unless_all_run(status: dict[str, int], well: bool) -> None:
    deployment = {"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": status}

    assert all_run("a", Children(objects={("Deployment", "a"): deployment})) is well
    assert not all_run("b", Children(objects={("Deployment", "a"): deployment}))


@dataclasses.dataclass(frozen=True)
class Says:
    """An API server, or what is remembered of it, of which every object has one version."""

    said: str

    async def version(self, *_: str) -> str:
        return self.said


@pytest.mark.case("clusters-10")
@pytest.mark.parametrize("named", [("Secret", "shop-db"), ("ConfigMap", "greeting")])
async def test_what_pods_read_may_be_remembered_but_in_the_first_pass_after_an_edit(named: tuple[str, str]) -> None:
    """What was edited together with the resource replaces pods once, with it."""
    clients = dict.fromkeys(("connect", "kafkas", "entrances", "agents", "relays")) | {
        "kube": Says("new"),
        "near": Says("old"),
    }
    remote = Remote(**cast(Any, clients))
    for kind, name in (("Consumer", "billing"), ("ConnectCluster", "main")):
        seen = worlds.resource(kind, name, {}, generation=2, status={"observedGeneration": 2})
        edited = dataclasses.replace(seen, generation=3)

        assert await inputs(seen, remote, [named]) == {named: "old"}
        assert await inputs(edited, remote, [named]) == {named: "new"}
        assert await inputs(seen, remote.live, [named]) == {named: "new"}


@pytest.mark.slow
@pytest.mark.apiserver
@pytest.mark.timeout(900)
async def test_at_rest_a_pass_asks_for_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two requests, where it was seven; what is edited or deleted by hand is seen all the same.

    The operator is a process of its own, with its watches.
    """
    with fast.apiserver() as server:
        account = _installed(server)
        async with AsyncExitStack() as stack:
            await _served(stack, monkeypatch)
            api = crowd.Patient(await connection(str(server.kubeconfig)))
            stack.push_async_callback(api.close)
            await crowd.create(api, crowd.resources(SIZE, 1))
            await stack.enter_async_context(crowd.rolling_out(api))
            running = stack.enter_context(operator(server, tmp_path, kubeconfig=account, program=crowd.PROGRAM))
            await _until("all is Ready", lambda: crowd.unready(api), {})
            requests, passes = await _at_rest(server, running)
            print(f"\n{passes} passes: {dict(requests)}")
            await _healed(server)

    assert requests.total() <= 2 * passes


def _installed(server: fast.ApiServer) -> Path:
    """Install the kinds and what a crowd needs; return the operator's kubeconfig."""
    install(server)
    server.client.create_namespace("headrace-system")
    crowd.prepare(server, crowd.PLACE)
    kubectl(server, "create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", f"--user={USER}")
    return server.kubeconfig_for(USER)


async def _served(stack: AsyncExitStack, environment: pytest.MonkeyPatch) -> None:
    """Serve the workers of the one ConnectCluster."""
    fake = await stack.enter_async_context(fake_connect())
    fake.passwords[crowd.LOGIN["username"]] = crowd.LOGIN["password"]
    fake.secrets |= {f"{crowd.PLACE}/db:{key}": value for key, value in crowd.LOGIN.items()}
    environment.setenv(crowd.PORTS, json.dumps({f"c0-connect.{crowd.PLACE}.svc": int(fake.url.rpartition(":")[2])}))


async def _at_rest(server: fast.ApiServer, running: Operator) -> tuple[Counter[str], int]:
    """Return the requests for objects and lists while each Consumer was looked at some ten times, and all passes."""
    begun, consumers = _passes(running, ""), _passes(running, 'kind="Consumer"')
    before = len(audited(server, USER))
    async with asyncio.timeout(PATIENCE):
        while _passes(running, 'kind="Consumer"') < consumers + 10 * SIZE:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(1)
    asked = [what.partition("/")[0] for verb, what in audited(server, USER)[before:] if verb in ("get", "list")]
    return Counter(one for one in asked if one != "leases"), int(_passes(running, "") - begun)


def _passes(running: Operator, labels: str) -> float:
    page = urllib.request.urlopen(f"http://127.0.0.1:{running.metrics_port}/metrics").read().decode()
    lines = [line for line in page.splitlines() if line.startswith("headrace_operator_reconciliations_total{")]
    return sum(float(line.split()[-1]) for line in lines if labels in line)


async def _healed(server: fast.ApiServer) -> None:
    """Take something away and change what is referred to; return once both were seen."""
    name, place = "use0-consumer", crowd.PLACE

    async def is_made() -> bool:
        return server.client.exists("poddisruptionbudget", name, place)

    server.client.delete("poddisruptionbudget", name, place)
    await _until("what was deleted", is_made, True)
    edit = {"spec": {"properties": {"client.rack": "zone-b"}}}
    server.client.patch("kafkaconnection", "kafka", edit, place)

    async def is_seen() -> bool:
        return "zone-b" in json.dumps(contract(server, name, place)["data"])

    await _until("the edit in what pods read", is_seen, True)


async def _until(what: str, seen: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(PATIENCE):
        while (found := await seen()) != wanted:
            print(what, found)
            await asyncio.sleep(1)
