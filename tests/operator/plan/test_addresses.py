"""Addresses in specs: in each field that has one, none leads to what answers anybody on the node."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from tests.operator import worlds
from tests.operator.plan import statuses

PAGE = (Path(__file__).parents[3] / "docs/security.md").read_text()
POSTGRES = worlds.CONNECTOR.spec["postgres"]
REST: dict[str, Any] = {
    "KafkaConnection": {"bootstrapServers": "kafka:9092"},
    "ConnectCluster": {"kafka": "kafka", "workers": {}},
    "Connector": worlds.CONNECTOR.spec,
    "Consumer": worlds.CONSUMER.spec,
    "OutboxRelay": {name: part for name, part in worlds.OUTBOX_RELAY.spec.items() if name != "mariadb"},
}


def placed(kind: str, path: str, value: str) -> dict[str, Any]:
    """Return a spec with an address at a path, of which a raw property is the part behind the colon."""
    field, _, name = path.partition(":")
    change: Any = {name: value} if name else value
    for part in reversed(field.split(".")):
        change = {part: change}
    if "sasl" in change:
        change["sasl"] |= {"mechanism": "OAUTHBEARER", "credentials": {"secret": "a"}}
    if "external" in change:
        change["workers"] = None
    for database in ("postgres", "mysql", "mariadb"):
        if database in change:
            change = {database: {**POSTGRES, **change[database]}}
    return {name: part for name, part in {**REST[kind], **change}.items() if part is not None}


HOSTS = (
    ("KafkaConnection", "bootstrapServers"),
    ("Connector", "postgres.host"),
    ("Connector", "config:database.hostname"),
    ("Connector", "config:signal.kafka.bootstrap.servers"),
)
"""Fields that hold hosts, several with commas between."""

ALONE = tuple(("OutboxRelay", f"{database}.host") for database in ("postgres", "mysql", "mariadb"))
"""Fields that hold one host, whose port has a field of its own."""

URLS = (
    ("ConnectCluster", "workers.config:header.converter.schema.registry.url"),
    ("Connector", "config:value.converter.schema.registry.url"),
    ("Connector", "config:signal.consumer.sasl.oauthbearer.token.endpoint.url"),
    ("ConnectCluster", "external.url"),
    ("KafkaConnection", "sasl.oauth.tokenEndpoint"),
    ("Consumer", "handler.http.url"),
    ("Consumer", "delivery.onDeadLetter.compensate.http.url"),
    ("Consumer", "delivery.deduplication.redis.url"),
)
"""Fields that hold the address of one service, with its protocol."""

MORE = {
    "external.url": "/a/169.254.1.1",
    "delivery.deduplication.redis.url": "/0",
    "sasl.oauth.tokenEndpoint": "/a/169.254.1.1?b=1;2",
}
"""What may stand behind the host where that is not all that an address may have."""

LOCAL = (
    *("169.254.169.254", "169.254.0.1:80", "[fe80::1]:80", "[::ffff:169.254.169.254]", "[::FFFF:a9fe:a9fe]"),
    *("[0::ffff:a9fe:a9fe]", "[0:0::ffff:169.254.169.254]:80", "[0064:ff9b:0:0:0:0:a9fe:a9fe]", "[::169.254.169.254]"),
    *("[64:ff9b::a9fe:a9fe]", "[0:0:0:0:0:ffff:a9fe:a9fe]:80", "[fd00:ec2::254]", "100.100.100.200"),
    *("metadata.google.internal", "METADATA.google.internal.:80", "metadata.goog", "instance-data.ec2.internal"),
)
OTHERWISE = ("2852039166", "0xA9FEA9FE", "169.16689662:80", "0251.0376.0251.0376", "169.254.0xa9fe", "127.1")
"""The same in forms that some clients read as addresses, and one of loopback."""

WELL = (
    *("billing", "billing:8080", "billing.shop.svc.cluster.local:8080", "10.0.0.7:8080", "127.0.0.1:8080"),
    *("[2001:db8::1]:8080", "metadata:8080", "169-254.example", "1password.example", "100.100.100.20", "a_b"),
)


def problem(kind: str, path: str, value: str) -> str | None:
    """Return what a plan has against a spec; nothing is made by one that is refused."""
    world = statuses.WORLDS[kind]()
    resource = worlds.resource(kind, "x", placed(kind, path, value))
    plan = statuses.planned(dataclasses.replace(world, resource=resource))
    accepted = worlds.condition(plan, "Accepted")
    if accepted["status"] == "True":
        return None
    assert plan.actions == ()
    return str(accepted["message"])


def _protocol(path: str) -> str:
    return "redis://" if "redis" in path else "http://"


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(("kind", "path"), HOSTS)
@pytest.mark.parametrize("host", LOCAL)
def test_no_host_is_link_local(kind: str, path: str, host: str) -> None:
    """Nor is one of several, with or without a protocol of Kafka's."""
    for text in (host, f"a:1,{host}", f"a:1, {host}"):
        assert "link-local addresses" in str(problem(kind, path, text)), text


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(("kind", "path"), URLS)
@pytest.mark.parametrize("host", LOCAL + OTHERWISE)
def test_no_address_of_a_service_is_link_local(kind: str, path: str, host: str) -> None:
    refused = str(problem(kind, path, f"{_protocol(path)}{host}/"))

    assert "link-local addresses" in refused or "should match pattern" in refused


@pytest.mark.case("clusters-15")
@pytest.mark.parametrize(("kind", "path"), ALONE)
@pytest.mark.parametrize("host", [*LOCAL, *OTHERWISE, "fe80::1", "a,b", "a:1", "/var/run/postgresql", "a b"])
def test_no_host_alone_is_link_local_or_more_than_a_host(kind: str, path: str, host: str) -> None:
    refused = str(problem(kind, path, host))

    assert "link-local addresses" in refused or "write one host alone" in refused


@pytest.mark.parametrize("host", OTHERWISE)
def test_no_host_of_a_field_is_a_number_in_disguise(host: str) -> None:
    """In raw properties a number alone may be anything."""
    for kind, path in HOSTS[:2]:
        assert "link-local addresses" in str(problem(kind, path, f"a:1,{host}")), path


@pytest.mark.parametrize("host", WELL)
def test_hosts_that_are_well_are_taken(host: str) -> None:
    for kind, path in HOSTS:
        assert problem(kind, path, host) is None, path
    for kind, path in ALONE:
        assert problem(kind, path, re.sub(r":8080$", "", host).strip("[]")) is None, path
    for kind, path in URLS:
        more = MORE.get(path, "/a/169.254.1.1?b=1,2#c")
        assert problem(kind, path, f"{_protocol(path)}{host}{more}") is None, path


def addresses(node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the fields of a schema that are called as what holds addresses is."""
    for name, child in (node.get("properties") or {}).items():
        if re.search(r"(?i)(^|[a-z])(url|uri|host|hosts|server|servers|endpoint|address|proxy)$", name):
            yield f"{path}.{name}".removeprefix(".")
        inner = child.get("items", child)
        yield from addresses(inner, f"{path}.{name}")


def test_each_field_with_an_address_is_judged_here_and_told_in_the_docs() -> None:
    judged = {(kind, path) for kind, path in HOSTS + ALONE + URLS}
    for kind in KINDS:
        for path in addresses(crd.schema(kind)["properties"]["spec"]):
            assert (kind.name, path) in judged, "judge it, and tell in docs/security.md who connects there"
            assert f"`{path}`" in PAGE, path
