"""Wrong input gets a clear condition, and breaks nothing that ran before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

TABLE = {"from": {"connector": "wrong-table", "tables": ["public.nothing"]}}
CODE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wrong-code"}}


@pytest.fixture
def namespace(told: str) -> Iterator[str]:
    """The demo's namespace: each resource that a test makes is named wrong-…; what ran before runs on, untouched."""
    templates, restarts = _templates(), _restarted()
    yield "shop"
    for plural in ("consumers", "connectors"):
        names = world.kubectl("-n", "shop", "get", f"{plural}.headrace.dev", "-o", "name").split()
        if wrong := [name for name in names if "/wrong-" in name]:
            world.kubectl("-n", "shop", "delete", *wrong)
    until("the pods of wrong resources being gone", lambda: not _pods_of_the_wrong())
    assert _templates() == templates
    assert all(restarts.get(pod, count) == count for pod, count in _restarted().items() if "wrong-" not in pod)
    until("billing being Ready", world.is_ready("shop", "consumers", "billing"))


def test_an_unknown_connector_is_named(namespace: str) -> None:
    world.apply(namespace, _consumer("wrong-connector", {"from": {"connector": "nowhere", "routes": ["order"]}}))

    assert "nowhere" in _said("consumers", "wrong-connector", "ConnectorNotFound")


def test_two_handlers_are_refused_at_apply(namespace: str) -> None:
    handler = {"http": {"url": "http://billing"}, "python": {"function": "billing:handle"}}

    said = world.apply(namespace, _consumer("wrong-handlers", {"handler": handler}), check=False)

    assert "a handler is exactly one of http and python" in said


def test_a_typo_is_refused_at_apply(namespace: str) -> None:
    said = world.apply(namespace, _consumer("wrong-typo", {"deliverie": {}}), check=False)

    assert 'unknown field "spec.deliverie"' in said


def test_a_bad_password_is_said(namespace: str) -> None:
    login = {"username": "shop", "password": "not-it"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong-password"}, "stringData": login}
    spec = _spec("connectors", "orders-db")
    spec["postgres"] |= {"credentials": {"secret": "wrong-password"}}
    world.apply(namespace, secret, world.resource("Connector", "wrong-password", spec))

    said = _said("connectors", "wrong-password", "ValidationFailed")

    assert "password authentication failed" in said
    assert "not-it" not in said


def test_a_table_that_does_not_exist_is_named_by_its_consumer(namespace: str) -> None:
    spec = _spec("connectors", "orders-db") | {"capture": {"tables": ["public.nothing"]}}
    world.apply(namespace, world.resource("Connector", "wrong-table", spec), _consumer("wrong-table", TABLE))

    said = _said("consumers", "wrong-table", "AwaitingTopic")

    assert "shop.wrong-table.public.nothing" in said
    assert "Connector wrong-table (table public.nothing)" in said


def test_a_route_that_nothing_was_sent_on_is_told_beside_those_in_use(namespace: str) -> None:
    world.apply(namespace, _consumer("wrong-route", {"from": {"connector": "orders-db", "routes": ["nothing"]}}))

    def said() -> str:
        found = world.condition(world.get(namespace, "consumers", "wrong-route"), "TopicsReady")
        return str(found.get("message")) if found.get("reason") == "NoRecordYet" else ""

    told = str(until("the route being told", said))
    assert "shop.orders-db.outbox.nothing (route nothing)" in told
    assert "Connector orders-db has written to the routes" in told


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        pytest.param("def handle(record:\n", "SyntaxError", id="syntax"),
        pytest.param("import nowhere\n", "No module named 'nowhere'", id="import"),
        pytest.param("def other(record): ...\n", "handle", id="no-function"),
    ],
)
def test_a_broken_python_handler_is_said(namespace: str, code: str, complaint: str) -> None:
    handler = {"python": {"function": "broken:handle", "source": {"configMap": "wrong-code"}}}
    world.apply(namespace, CODE | {"data": {"broken.py": code}}, _consumer("wrong-code", {"handler": handler}))

    assert complaint in _said("consumers", "wrong-code", "PodsFailing")


def test_an_edit_that_connect_refuses_leaves_what_runs(namespace: str) -> None:
    _edit_orders_db('{"spec":{"config":{"tasks.max":"zero"}}}')
    try:
        _said("connectors", "orders-db", "ValidationFailed")
        until("that it runs on, stalled", lambda: _true("connectors", "orders-db") >= {"Running", "Stalled"})
    finally:
        _edit_orders_db('{"spec":{"config":null}}')
        until("orders-db being Ready again", world.is_ready(namespace, "connectors", "orders-db"))


def _edit_orders_db(patch: str) -> None:
    world.kubectl("-n", "shop", "patch", "connectors.headrace.dev", "orders-db", "--type=merge", "-p", patch)


def _spec(plural: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = world.get("shop", plural, name)["spec"]
    return spec


def _consumer(name: str, change: dict[str, Any]) -> dict[str, Any]:
    return world.resource("Consumer", name, _spec("consumers", "billing") | change)


def _said(plural: str, name: str, reason: str) -> str:
    """Await Ready=False for this reason and return the message."""

    def found() -> str | None:
        ready = world.condition(world.get("shop", plural, name), "Ready")
        return str(ready["message"]) if (ready.get("status"), ready.get("reason")) == ("False", reason) else None

    return str(until(f"{plural}/{name} saying {reason}", found))


def _true(plural: str, name: str) -> set[str]:
    """Return the conditions of a resource that are true."""
    found = world.get("shop", plural, name)["status"]["conditions"]
    return {one["type"] for one in found if one["status"] == "True"}


def _pods_of_the_wrong() -> list[str]:
    return [name for pod in world.listed("shop", "pods") if (name := pod["metadata"]["name"]).startswith("wrong-")]


def _templates() -> dict[str, Any]:
    """Return what the pods of each workload that the demo left are made from."""
    found = {one["metadata"]["name"]: one["spec"]["template"] for one in world.listed("shop", "deployments")}
    return {name: template for name, template in found.items() if not name.startswith("wrong-")}


def _restarted() -> dict[str, int]:
    return {pod["metadata"]["name"]: _restarts(pod) for pod in world.listed("shop", "pods")}


def _restarts(pod: dict[str, Any]) -> int:
    return sum(one["restartCount"] for one in pod["status"].get("containerStatuses", []))
