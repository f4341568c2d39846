"""Specs that somebody wrote to do harm are refused twice: by the API server, and by the plan."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from headrace_operator.api import admission
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION
from headrace_operator.observed.kube import SecretSeen
from headrace_operator.plan.actions import Plan
from tests.cluster import fast
from tests.cluster.client import refusal
from tests.operator import worlds
from tests.operator.api.hostile import VICTIM, Hostile
from tests.operator.api.hostile_snapshots import CORPUS
from tests.operator.api.test_admission import NAMING
from tests.operator.operator_process import install
from tests.operator.plan import statuses
from tests.waiting import until

GOOD = (worlds.KAFKA, worlds.CONNECT, worlds.CONNECTOR, worlds.CONSUMER, worlds.OUTBOX_RELAY, worlds.SNAPSHOT)
SPECS = {one.kind: dict(one.spec) for one in GOOD}
WHO = "mallory"
USABLE = {"kafkaconnections": "kafka", "connectclusters": "main", "connectors": "orders-db"}
SEEN = {
    VICTIM: SecretSeen(name=VICTIM, keys=frozenset({"username", "password"}), hosts=("friend",)),
    "shop-db": SecretSeen(name="shop-db", keys=frozenset({"username", "password"}), hosts=None),
    "parcels-db": SecretSeen(name="parcels-db", keys=frozenset({"username", "password"}), hosts=None),
}
each = pytest.mark.parametrize("one", CORPUS, ids=lambda one: f"{one.kind}: {one.after}")


def merged(spec: Any, change: Any) -> Any:
    """Return what a JSON merge patch makes of a spec (RFC 7396)."""
    if not isinstance(change, Mapping):
        return change
    into = dict(spec) if isinstance(spec, Mapping) else {}
    for name, value in change.items():
        into[name] = merged(into.get(name), value)
    return {name: value for name, value in into.items() if value is not None}


def planned(kind: str, spec: Any, name: str = "x") -> Plan:
    """Return what the operator would do about a new resource, where every Secret was seen."""
    world = statuses.WORLDS[kind]()
    seen = {"secrets": SEEN} if hasattr(world, "secrets") else {}
    return statuses.planned(dataclasses.replace(world, resource=worlds.resource(kind, name, spec), **seen))


@pytest.fixture(scope="module")
def server() -> Iterator[fast.ApiServer]:
    """Run an API server with kinds and policies, for somebody who may write each kind and use what is theirs."""
    with fast.apiserver() as running:
        install(running)
        running.client.create_namespace("shop")
        running.client.apply([*admission.policies(), *_rights()])
        for (kind, _), spec in NAMING.items():
            until(f"the policy of {kind}", partial(_is_judged, running, kind, spec))
        for kind, spec in SPECS.items():
            until(f"the right to write a {kind}", partial(_is_taken, running, kind, spec))
        yield running


def _is_judged(server: fast.ApiServer, kind: str, spec: dict[str, Any]) -> bool:
    return "and may not" in answer(server, kind, spec)


def _is_taken(server: fast.ApiServer, kind: str, spec: dict[str, Any]) -> bool:
    return not answer(server, kind, spec)


def _rights() -> list[dict[str, Any]]:
    used = [
        {"apiGroups": ["headrace.dev"], "resources": [plural], "resourceNames": [name], "verbs": ["use"]}
        for plural, name in USABLE.items()
    ]
    writes = {"apiGroups": ["headrace.dev"], "resources": ["*"], "verbs": ["create", "patch", "update", "get"]}
    own = ["shop-db", "parcels-db", "a"]
    reads = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": own, "verbs": ["get"]}
    of = {"apiVersion": f"{admission.RBAC}/v1", "metadata": {"name": WHO, "namespace": "shop"}}
    subject = {"kind": "User", "name": WHO, "apiGroup": admission.RBAC}
    bound = {"roleRef": {"kind": "Role", "name": WHO, "apiGroup": admission.RBAC}, "subjects": [subject]}
    return [{**of, "kind": "Role", "rules": [writes, reads, *used]}, {**of, "kind": "RoleBinding", **bound}]


def answer(server: fast.ApiServer, kind: str, spec: Any, name: str = "x") -> str:
    """Return what the API server has against a resource; nothing when it would take it."""
    made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
    return refusal(partial(server.client.create, made, who=WHO, dry=True))


def test_the_corpus_is_of_every_kind_and_what_one_alone_refuses_is_argued() -> None:
    assert len(CORPUS) >= 60
    assert {one.kind for one in CORPUS} == {kind.name for kind in KINDS}
    assert len({(one.kind, one.after, json.dumps(one.change)) for one in CORPUS}) == len(CORPUS)
    assert all(one.server for one in CORPUS)
    assert [one.after for one in CORPUS if one.plan is None and not one.argued] == []


@pytest.mark.parametrize("kind", SPECS)
def test_without_the_change_it_is_accepted(kind: str) -> None:
    assert worlds.condition(planned(kind, SPECS[kind]), "Accepted")["status"] == "True"


@each
def test_the_plan_refuses_and_makes_nothing(one: Hostile) -> None:
    """Nor does it repeat what it refuses."""
    plan = planned(one.kind, merged(SPECS[one.kind], one.change), one.name)
    accepted = worlds.condition(plan, "Accepted")

    if one.plan is None:
        assert accepted["status"] == "True", "argued, and yet refused: say by what"
        return
    assert (accepted["status"], accepted["reason"]) == ("False", one.reason)
    assert one.plan in accepted["message"]
    assert plan.actions == ()
    assert "s3cret" not in json.dumps(plan.status)


@pytest.mark.apiserver
@each
def test_the_api_server_refuses(server: fast.ApiServer, one: Hostile) -> None:
    assert one.server in answer(server, one.kind, merged(SPECS[one.kind], one.change), one.name)


SLOTS = [
    (kind, json.loads(json.dumps(spec).replace(f'"{VICTIM}"', '"../victim"'))) for (kind, _), spec in NAMING.items()
]


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "spec"), SLOTS, ids=[f"{kind}: {path}" for kind, path in NAMING])
def test_no_place_of_a_secret_takes_a_path(server: fast.ApiServer, kind: str, spec: dict[str, Any]) -> None:
    accepted = worlds.condition(planned(kind, spec), "Accepted")

    assert "should match" in answer(server, kind, spec)
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert "should match pattern" in accepted["message"]
