"""The loop on a real API server: failures are shown, what is not recorded is not done, what is gone is forgotten.

And what belongs to someone else is left alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import generate_latest

from headrace_operator.clients import errors
from headrace_operator.clients.kube import Kube
from headrace_operator.clients.remembered import Remembered
from headrace_operator.clients.remembering import Remembering
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent
from headrace_operator.plan import connectcluster, marks
from headrace_operator.plan.actions import Action
from headrace_operator.reconcile.execute import execute
from headrace_operator.reconcile.loop import Loop
from headrace_operator.reconcile.observe import connections
from headrace_operator.reconcile.turns import Key
from tests.cluster.client import refusal
from tests.cluster.fast import ApiServer
from tests.operator import scraped, worlds
from tests.operator.loops import answering, look, looping
from tests.operator.loops import until as until_passes
from tests.operator.operator_process import contract, kubectl, read
from tests.waiting import until

pytestmark = pytest.mark.apiserver

CONNECTOR = """
apiVersion: headrace.dev/v1alpha1
kind: Connector
metadata: {name: orders-db}
spec:
  connect: main
  postgres: {host: shop-db, database: shop, credentials: {secret: shop-db}}
  capture: {outbox: {table: public.outbox}}
"""

CHILDREN = ("deployments", "services", "serviceaccounts", "configmaps", "roles", "rolebindings",
            "networkpolicies", "poddisruptionbudgets")  # fmt: skip


@pytest.fixture
def place(server: ApiServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a namespace for one test, with a KafkaConnection that was accepted and a ConnectCluster."""
    name = request.node.name.replace("_", "-").lower()[:60].strip("-")
    server.client.create_namespace(name)
    server.client.apply(worlds.MANIFESTS, name)
    status = {"status": {"accepted": {"generation": 1, "spec": {"bootstrapServers": "127.0.0.1:1"}}}}
    server.client.patch("kafkaconnection", "kafka", status, name, part="status")
    yield name
    server.client.delete("namespace", name, wait=False)


def shown(server: ApiServer, place: str) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition of the ConnectCluster."""
    status = read(server, "connectcluster", "main", place)["status"]
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def said(server: ApiServer, place: str, kind: str) -> dict[str, Any]:
    """Return a condition of the ConnectCluster."""
    conditions = read(server, "connectcluster", "main", place)["status"]["conditions"]
    return next(one for one in conditions if one["type"] == kind)


async def until_shown(words: str, server: ApiServer, loop: Loop, key: Key) -> None:
    """Make passes over the ConnectCluster until its status has these words."""

    def is_shown() -> bool:
        return words in str(read(server, "connectcluster", "main", key.namespace).get("status"))

    await until_passes(words, is_shown, loop, key)


def version(server: ApiServer, place: str) -> str:
    """Return the resourceVersion of the ConnectCluster."""
    return str(read(server, "connectcluster", "main", place)["metadata"]["resourceVersion"])


def events(server: ApiServer, place: str) -> list[str]:
    """Return the reasons of all Events."""
    return [one["reason"] for one in server.client.list("events", place)]


def refuse_config_maps(server: ApiServer, place: str) -> None:
    """Make a quota, and say what its controller would say of it."""
    hard = {"count/configmaps": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": hard}}
    server.client.create(quota, place)
    server.client.patch("quota", "none", {"status": {"hard": hard, "used": hard}}, place, part="status")
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "refused"}}
    attempt = partial(server.client.create, one, place, dry=True)
    until("the quota is in force", lambda: "exceeded quota" in refusal(attempt))


async def test_a_refused_apply_is_shown_until_it_succeeds(server: ApiServer, place: str) -> None:
    """A quota refuses: the next pass says so, later ones write nothing, also by a new operator; then it is over."""
    key = Key("ConnectCluster", place, "main")
    refuse_config_maps(server, place)
    async with looping(server) as loop:
        await until_shown("quota", server, loop, key)
        message = said(server, place, "Ready")["message"]
        assert shown(server, place)["Ready"] == ("False", "ActionFailed")
        assert shown(server, place)["Reconciling"] == ("True", "ActionFailed")
        assert message.startswith("Could not apply ConfigMap main-connect-")
        assert ": PATCH /api/v1/namespaces/" in message

        before = version(server, place)
        await loop.reconcile(key)
        await dataclasses.replace(loop, failed={}, tries={}).reconcile(key)
        assert version(server, place) == before
        assert events(server, place).count("ActionFailed") == 1

        server.client.delete("quota", "none", place)
        await look(loop, key, 2)
        assert shown(server, place)["Ready"] == ("False", "RollingOut")
        assert "ActionFailed" not in str(shown(server, place))


def children(server: ApiServer, place: str) -> list[str]:
    """Return kind and name of each object of the ConnectCluster."""
    kinds = "serviceaccounts,roles,rolebindings,configmaps,services,deployments,networkpolicies,poddisruptionbudgets"
    found = server.client.list(kinds, place, labels="headrace.dev/connect=main")
    return [f"{one['kind']} {one['metadata']['name']}" for one in found]


async def planned(loop: Loop, place: str) -> tuple[Action, ...]:
    """Return what a pass over the ConnectCluster would do."""
    resource = await loop.remote.kube.resource("ConnectCluster", place, "main")
    assert isinstance(resource, Resource)
    world = await connections.connect_cluster(resource, loop.remote)
    return connectcluster.plan(world, worlds.SETTINGS, worlds.NOW).actions


async def test_an_object_of_a_user_is_left_alone_until_it_is_gone(server: ApiServer, place: str) -> None:
    """A Role called as ours would be: its rights stay, nothing is made beside it, and the condition names it."""
    kubectl(server, "create", "role", "main-connect", "-n", place, "--verb=get", "--resource=pods")
    before = read(server, "role", "main-connect", place)
    key = Key("ConnectCluster", place, "main")
    async with looping(server) as loop:
        await look(loop, key, 2)
        assert read(server, "role", "main-connect", place) == before
        assert shown(server, place)["Ready"] == ("False", "NameTaken")
        assert children(server, place) == []
        assert events(server, place).count("NameTaken") == 1

        server.client.delete("role", "main-connect", place)
        await look(loop, key, 2)
        assert shown(server, place)["Ready"] == ("False", "RollingOut")
        assert len(children(server, place)) == 8


async def test_what_was_made_is_seen_as_it_shall_be(server: ApiServer, place: str) -> None:
    """Also the Role of workers that need no Secret, whose empty list of rules the API server gives back as null."""
    async with looping(server) as loop:
        await look(loop, Key("ConnectCluster", place, "main"))

        assert await planned(loop, place) == ()


async def test_the_role_says_which_secrets_the_workers_may_read(server: ApiServer, place: str) -> None:
    """It is looked at before Connect is asked about a configuration that names one."""
    server.client.apply(CONNECTOR, place)
    async with looping(server) as loop:
        kube = loop.remote.kube
        assert await kube.readable_secrets(place, "main-connect") == frozenset()
        await look(loop, Key("ConnectCluster", place, "main"))

        assert await kube.readable_secrets(place, "main-connect") == {"shop-db"}


async def test_an_object_that_was_made_anew_meanwhile_is_not_applied_over(server: ApiServer, place: str) -> None:
    """Someone deletes our ConfigMap and makes one of that name after it was seen: the API server refuses, later we."""
    key = Key("ConnectCluster", place, "main")
    async with looping(server) as loop:
        await look(loop, key)
        name = contract(server, "main-connect", place)["metadata"]["name"]
        unmarked = {"metadata": {"annotations": {"headrace.dev/applied": None}}}
        server.client.patch("configmap", name, unmarked, place)
        (heal,) = await planned(loop, place)
        server.client.delete("configmap", name, place)
        with pytest.raises(errors.Conflict, match="uid mismatch"):
            await execute(heal, loop.remote)
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "theirs"}}
        server.client.create(theirs, place)
        with pytest.raises(errors.Invalid, match="uid: Invalid value"):
            await execute(heal, loop.remote)
        await look(loop, key)

    assert read(server, "configmap", name, place)["data"] == {"a": "theirs"}
    assert shown(server, place)["Deployed"] == ("False", "NameTaken")


class Short:
    """A Lease that is too short at one look at it, and renewed at the next; or over then, and taken again."""

    def __init__(self, at: int, *, over: bool = False) -> None:
        self._at, self._over, self._looks = at, over, 0

    @property
    def term(self) -> int:
        """Return the number of the term."""
        return 1 + (self._over and self._looks >= self._at)

    def held(self, deadline: float = 0.0, term: int | None = None) -> bool:
        """Return whether it is held for long enough."""
        self._looks += 1
        return self._looks != self._at and term in (None, self.term)

    async def lasts(self, deadline: float, term: int) -> bool:
        """Return what `held` does."""
        return self.held(deadline, term)


class Renewed(Short):
    """One that is waited for where it is too short."""

    async def lasts(self, deadline: float, term: int) -> bool:
        """Return what `held` does once it is renewed."""
        return self.held(deadline, term) or self.held(deadline, term)


async def test_an_event_is_posted_once_the_lease_is_long_enough(server: ApiServer, place: str) -> None:
    """It is short at one step of a pass, whichever, that of sending the Event included, and then renewed."""
    key = Key("ConnectCluster", place, "main")
    kubectl(server, "create", "role", "main-connect", "-n", place, "--verb=get", "--resource=pods")
    for at in range(2, 12):
        async with looping(server) as loop:
            lease: Any = Renewed(at)
            await look(dataclasses.replace(loop, lease=lease), key, 2)
        assert (at, events(server, place).count("NameTaken")) == (at, 1)

        kubectl(server, "delete", "events", "--all", "-n", place)
        server.client.patch("connectcluster", "main", {"status": None}, place, part="status")


async def test_what_was_not_recorded_is_not_done(server: ApiServer, place: str) -> None:
    """The Lease is short at one step of a pass, whichever: no child is there without the status that foretells it."""
    recorded = []
    for at in range(1, 8):
        async with looping(server) as loop:
            lease: Any = Short(at)
            await dataclasses.replace(loop, lease=lease).reconcile(Key("ConnectCluster", place, "main"))
        recorded.append("accepted" in read(server, "connectcluster", "main", place)["status"])
        made = server.client.list("serviceaccounts", place)

        assert recorded[-1] or not made
    assert recorded == [False, False, False, True, True, True, True]


@pytest.mark.case("clusters-1")
async def test_what_was_seen_in_one_term_is_not_done_in_the_next(server: ApiServer, place: str) -> None:
    """The Lease is lost and taken again while a pass looks, or acts: another may have acted meanwhile."""
    key = Key("ConnectCluster", place, "main")
    async with looping(server) as loop:
        for at in (2, 3):
            lease: Any = Short(at, over=True)
            passing = dataclasses.replace(loop, lease=lease, tries={})
            await passing.reconcile(key)
            assert lease.held(5, 2)
            assert "accepted" not in read(server, "connectcluster", "main", place).get("status", {})
            assert (len(passing.queue), passing.tries, passing.failed.get(key)) == (1, {}, None)

        await look(passing, key)
        assert passing.term == 2
    assert server.client.exists("serviceaccount", "main-connect", place)


async def test_one_that_is_made_anew_under_its_name_is_not_refused_for_what_is_gone(
    server: ApiServer, place: str
) -> None:
    """Nobody told of the end of what the first had: it is looked for before it is told to be in the way."""
    key = Key("ConnectCluster", place, "main")
    async with looping(server) as loop:
        api: Any = loop.remote.kube._api
        near = Kube(Remembering(api, Remembered(), live=False))
        loop.remote = dataclasses.replace(loop.remote, near=near)
        await look(loop, key, 2)
        first = server.client.get("serviceaccount", "main-connect", place)
        _remove_with_children(server, place)
        server.client.apply(worlds.MANIFESTS, place)
        await look(loop, key)

        assert shown(server, place)["Deployed"][1] != "NameTaken"
    made = server.client.get("serviceaccount", "main-connect", place)
    assert made["metadata"]["uid"] != first["metadata"]["uid"]


async def test_what_has_failed_for_days_is_still_tried_each_minute(server: ApiServer, place: str) -> None:
    """It is doubled no more: 2.0 to the power of thousands is no number."""
    key = Key("ConnectCluster", place, "main")
    refuse_config_maps(server, place)
    async with looping(server) as loop:
        await loop.reconcile(key)
        loop.tries[key] = 5_000
        await loop.reconcile(key)

        assert loop.tries[key] == 5_001
        assert key in loop.failed


async def test_an_object_that_is_gone_leaves_nothing_in_memory(server: ApiServer, place: str) -> None:
    """Its deletion was never told: the next pass that is due finds out."""
    key = Key("ConnectCluster", place, "main")
    refuse_config_maps(server, place)
    async with looping(server) as loop:
        await until_passes("it is remembered", lambda: _remembered(loop, key) == [True] * 5, loop, key)
        server.client.delete("connectcluster", "main", place)
        loop.queue = type(loop.queue)(loop.reconcile)
        await loop.reconcile(key)

        assert _remembered(loop, key) == [False] * 5
        assert len(loop.queue) == 0


@pytest.mark.case("clusters-1")
async def test_the_time_from_one_look_to_the_next_is_told(server: ApiServer, place: str) -> None:
    """Three passes are two times between them, whatever became of the passes; another resource has its own."""
    async with looping(server) as loop:
        for key in [Key("ConnectCluster", place, "main")] * 3 + [Key("KafkaConnection", place, "kafka")]:
            await loop.reconcile(key)
        page = generate_latest(loop.fleet.registry).decode().splitlines()

    told = [
        scraped.total(page, scraped.INTERVALS, kind=kind, le="+Inf") for kind in ("ConnectCluster", "KafkaConnection")
    ]
    assert told == [2, 0]


def _remove_with_children(server: ApiServer, place: str) -> None:
    """Do what the garbage collector does, which does not run here."""
    server.client.delete("connectcluster", "main", place)
    for kind in CHILDREN:
        for one in server.client.list(kind, place):
            if one["metadata"].get("ownerReferences"):
                server.client.delete(kind, one["metadata"]["name"], place)


def _remembered(loop: Loop, key: Key) -> list[bool]:
    series = [sample.labels for metric in loop.fleet.collect() for sample in metric.samples]
    return [
        key in loop.tries,
        key in loop.failed,
        key in loop.histories,
        key in loop.looked,
        any(one["name"] == key.name for one in series),
    ]


async def test_a_connector_made_while_its_workers_are_asked_is_no_orphan(server: ApiServer, place: str) -> None:
    """Its resource appears after the pass began and before Connect lists it; one without a resource is read as gone."""

    def marked(uid: str) -> dict[str, Any]:
        config = {**worlds.MARKED, marks.RESOURCE: uid}
        return {"info": {"config": config}, "status": {"connector": {"state": "RUNNING"}}}

    async def connect(request: web.Request) -> web.Response:
        if request.path == "/connectors":
            server.client.apply(CONNECTOR, place)
            uid = server.client.get("Connector", "orders-db", place)["metadata"]["uid"]
            return web.json_response({f"{place}.orders-db": marked(uid), f"{place}.gone": marked("x")})
        return web.json_response([] if request.path != "/" else {"version": "4.3.1", "kafka_cluster_id": "k"})

    async with answering(connect) as port, looping(server, connect=port) as loop:
        resource = await loop.remote.kube.resource("ConnectCluster", place, "main")
        assert isinstance(resource, Resource)
        world = await connections.connect_cluster(resource, loop.remote)

    assert dict(world.owners) == {f"{place}.gone": Absent()}


async def test_a_kind_that_is_not_served_is_unknown(server: ApiServer) -> None:
    """Only a 404 about one object says that it is absent."""
    async with looping(server) as loop:
        kube = loop.remote.kube
        assert isinstance(await kube.resource("Connector", "shop", "none"), Absent)
        assert isinstance(await kube.resource("Connector", "no-such-namespace", "none"), Absent)
        with pytest.raises(errors.Unreachable, match="does not serve this kind"):
            await kube._api.get("/apis/headrace.dev/v1alpha1/namespaces/shop/nothings")
        with pytest.raises(errors.Unreachable, match="does not serve this kind"):
            await kube._api.get("/apis/nothing.dev/v1/namespaces/shop/nothings/none")


@pytest.mark.case("clusters-3")
async def test_a_connect_that_answers_without_end_is_said(server: ApiServer, place: str) -> None:
    """Whatever has its address floods the operator: that is a condition of the ConnectCluster, and nothing else."""

    async def flood(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65536)

    async with answering(flood) as port, looping(server, connect=port) as loop:
        await until_shown("answer is longer than 4 MiB", server, loop, Key("ConnectCluster", place, "main"))

    assert shown(server, place)["Answering"] == ("False", "ConnectUnreachable")
    assert "answer is longer than 4 MiB" in said(server, place, "Answering")["message"]
