"""Secrets: which of them workers may read, and that nobody writes a login into an address."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from headrace_operator.api import properties as raw
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connectcluster, connector, kafkaconnection, outboxrelay, sources
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Apply
from tests.operator import worlds

STRAY = {"transforms": "secret", "transforms.secret.type": "${secrets:shop/mine:password}"}
POSTGRES = worlds.CONNECTOR.spec["postgres"]


def naming(secret: str, **changes: Any) -> dict[str, Any]:
    """Return the spec of a Connector that names a Secret."""
    return {**worlds.CONNECTOR.spec, "postgres": {**POSTGRES, "credentials": {"secret": secret}}, **changes}


def readable(*connectors: Resource) -> set[str]:
    """Return the Secrets that the workers' Role names."""
    plan = connectcluster.plan(worlds.connect_world(connectors=connectors), worlds.SETTINGS, worlds.NOW)
    applied = [action.manifest for action in plan.actions if isinstance(action, Apply)]
    (role,) = [one for one in applied if one["kind"] == "Role"]
    return {name for rule in role["rules"] for name in rule["resourceNames"]}


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(
    "refused",
    [
        {"config": STRAY},
        {"config": {"database.password": "${secrets:other/mine:password}"}},
        {"config": {"slot.name": "x"}},
        {"sclae": {}},
        {"restart": {"maxAttempts": -1}},
    ],
)
def test_a_spec_that_is_refused_gives_no_right(refused: dict[str, Any]) -> None:
    """What was accepted before keeps its own; once the spec is mended, it gets what it names."""
    new = worlds.resource("Connector", "a", naming("mine", **refused))
    before = {"accepted": {"generation": 1, "spec": naming("old")}}

    assert readable(new) == set()
    assert readable(dataclasses.replace(new, status=before)) == {"old"}
    assert readable(dataclasses.replace(new, spec=naming("mine"), status=before)) == {"mine", "old"}


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize("place", ["other", "shop-2", "Shop"])
def test_a_reference_names_a_secret_of_its_own_namespace(place: str) -> None:
    """The schema cannot know the namespace, so that the plan alone says it."""
    config = {"database.password": f"${{secrets:{place}/shop-db:password}}"}
    refused = connector.judge(worlds.resource("Connector", "a", naming("shop-db", config=config))).problem

    assert refused is not None
    assert refused.reason == "PasswordInConfig"
    assert "spec.config.database.password" in refused.message
    assert "${secrets:shop/NAME:KEY}" in refused.message


@pytest.mark.case("clusters-15")
def test_a_key_of_a_secret_brings_no_second_one() -> None:
    credentials = {"secret": "shop-db", "passwordKey": "a}${secrets:shop/other:password"}
    spec = {**worlds.CONNECTOR.spec, "postgres": {**POSTGRES, "credentials": credentials}}

    assert connector.judge(worlds.resource("Connector", "a", spec)).problem is not None


LOGINS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Consumer", {"handler": {"http": {"url": "http://shop:s3cret@web:9/events?token=abc"}}}),
    ("Consumer", {"handler": {"http": {"url": "https://s3cret@web"}}}),
    ("Consumer", {"handler": {"python": {"function": "a:b", "image": "shop:s3cret@registry.example/code:1"}}}),
    ("ConnectCluster", {"workers": {"image": f"shop:s3cret@registry.example/code@sha256:{'0' * 64}"}}),
    ("ConnectCluster", {"workers": {"config": {"header.converter.url": "http://shop:s3cret@web"}}}),
    ("Connector", {"postgres": {**POSTGRES, "host": "shop:s3cret@db"}}),
    ("Connector", {"config": {"key.converter.schema.registry.url": "http://a,http://shop:s3cret@registry"}}),
    ("Consumer", {"handler": {"http": {"url": "http://shop:s3cret\t@web:9/events"}}}),
    ("Consumer", {"handler": {"http": {"url": "http://shop:s3cret and more@web:9/events"}}}),
    ("ConnectCluster", {"workers": {"image": "shop:s3cret@registry:5000"}}),
    ("OutboxRelay", {"mariadb": {**POSTGRES, "host": "shop:s3cret@db"}}),
    ("KafkaConnection", {"bootstrapServers": "shop:s3cret@kafka:9092"}),
    ("KafkaConnection", {"bootstrapServers": "kafka:9092,SASL_SSL://shop:s3cret@kafka:9092"}),
)
WELL: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Consumer", {"handler": {"http": {"url": "http://web:9/@me?to=a@b#c@d"}}}),
    ("Consumer", {"handler": {"python": {"function": "a:b", "image": f"reg.example:5000/code:1@sha256:{'0' * 64}"}}}),
    ("ConnectCluster", {"workers": {"image": "code"}}),
    ("Connector", {"config": {"snapshot.select.statement.overrides.a.b": "SELECT 'http://a' AS c, 'd@e' AS f FROM g"}}),
    ("Connector", {"postgres": {**POSTGRES, "host": "2001:db8::1"}}),
    ("OutboxRelay", {"mariadb": {**POSTGRES, "host": "2001:db8::1"}}),
    ("KafkaConnection", {"bootstrapServers": "[2001:db8::1]:9092,PLAINTEXT://kafka:9092"}),
)
KINDS = (worlds.KAFKA, worlds.CONNECT, worlds.CONNECTOR, worlds.CONSUMER, worlds.OUTBOX_RELAY)
SPECS = {one.kind: one.spec for one in KINDS}
JUDGES: dict[str, Callable[[Resource], Acceptance[Any]]] = {
    "KafkaConnection": kafkaconnection.judge,
    "ConnectCluster": connectcluster.judge,
    "Connector": connector.judge,
    "Consumer": sources.judge,
    "OutboxRelay": outboxrelay.judge,
}


@pytest.mark.case("clusters-17")
@pytest.mark.parametrize(("kind", "change"), LOGINS)
def test_an_address_with_a_login_is_refused_and_not_repeated(kind: str, change: dict[str, Any]) -> None:
    problem = JUDGES[kind](worlds.resource(kind, "a", {**SPECS[kind], **change})).problem

    assert problem is not None
    assert problem.reason == "PasswordInConfig"
    assert "s3cret" not in problem.message


@pytest.mark.case("clusters-17")
@pytest.mark.parametrize(("kind", "change"), WELL)
def test_an_address_without_one_is_accepted(kind: str, change: dict[str, Any]) -> None:
    assert JUDGES[kind](worlds.resource(kind, "a", {**SPECS[kind], **change})).problem is None


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(
    ("judge", "resource", "path", "name"),
    [
        *((connectcluster.judge, worlds.CONNECT, "workers", name) for name in raw.WORKER_SECRETS),
        *((connector.judge, worlds.CONNECTOR, None, name) for name in raw.CONNECTOR_SECRETS),
    ],
)
def test_what_is_listed_to_name_a_secret_may_stand(
    judge: Callable[[Resource], Acceptance[Any]], resource: Resource, path: str | None, name: str
) -> None:
    """No other rule refuses such a property."""
    config = {"config": {name: "${secrets:shop/mine:key}"}}
    spec = {**resource.spec, path: config} if path else {**resource.spec, **config}

    assert judge(dataclasses.replace(resource, spec=spec)).problem is None
