"""Each CEL rule refuses one fixture with the words that the user shall read; a rule without a fixture fails here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from headrace_operator.api import crd
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.properties import TUNING
from headrace_operator.api.schema import API_VERSION
from headrace_operator.plan import connectcluster, connector, kafkaconnection
from tests.cluster import fast
from tests.operator import worlds
from tests.operator.operator_process import kubectl

SOURCE = {"connector": "orders-db", "routes": ["order"]}
HTTP = {"http": {"url": "http://billing:8080/events"}}
IMAGE_AND_SOURCE = {"function": "a:b", "image": "shop/code:1", "source": {"configMap": "code"}}
SPECS: dict[str, dict[str, Any]] = {
    "KafkaConnection": {"bootstrapServers": "kafka:9092"},
    "ConnectCluster": {"kafka": "kafka", "workers": {}},
    "Connector": dict(worlds.CONNECTOR.spec),
    "Consumer": {"from": SOURCE, "handler": HTTP},
}
REFUSED: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("KafkaConnection", "spec.properties", 0, {"properties": {"plugin.library.paths": "evil"}}),
    ("ConnectCluster", "spec.workers.config", 0, {"workers": {"config": {"ssl.keystore.password": "x"}}}),
    ("Connector", "spec.capture", 0, {"capture": {"outbox": {"table": "a.b"}, "tables": ["a.c"]}}),
    ("Connector", "spec.config", 0, {"config": {"database.password": "x"}}),
    ("Consumer", "spec.from", 0, {"from": {**SOURCE, "kafka": "kafka", "topics": ["orders"]}}),
    ("Consumer", "spec.from", 1, {"from": {**SOURCE, "tables": ["a.b"]}}),
    ("Consumer", "spec.from", 2, {"from": {"kafka": "kafka"}}),
    ("Consumer", "spec.handler", 0, {"handler": {**HTTP, "python": {"function": "a:b"}}}),
    ("Consumer", "spec.handler.python", 0, {"handler": {"python": IMAGE_AND_SOURCE}}),
    ("Consumer", "spec.scale", 0, {"scale": {"min": 3, "max": 2}}),
)


PROPERTIES: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("KafkaConnection", dict.fromkeys(TUNING, "1"), True),
    ("KafkaConnection", {"plugin.library.paths": "x"}, False),
    ("KafkaConnection", {"bootstrap.servers": "elsewhere:9092"}, False),
    ("KafkaConnection", {"client.rack": "a", "ssl.ca.location": "/etc/passwd"}, False),
    ("KafkaConnection", {"sasl.oauthbearer.token.endpoint.url": "http://elsewhere"}, False),
    ("Connector", {"snapshot.mode": "never", "ssl.keystore.location": "/etc/keys"}, True),
    ("Connector", {"database.password": "x"}, False),
    ("Connector", {"Database.PassWord": "x"}, False),
    ("Connector", {"database.password": "${secrets:shop/shop-db:password}"}, True),
    ("Connector", {"producer.override.sasl.jaas.config": "x"}, False),
    ("Connector", {"aws.secret.access.key": "x"}, False),
    ("ConnectCluster", {"ssl.key.pem": "x"}, False),
    ("ConnectCluster", {"ssl.keystore.key": "x"}, False),
    ("ConnectCluster", {"ssl.keystore.type": "PEM", "producer.linger.ms": "5"}, True),
    ("ConnectCluster", {"basic.auth.user.info": "me:x"}, False),
)


@pytest.fixture(scope="module")
def server() -> Iterator[fast.ApiServer]:
    """Run an API server that has the kinds."""
    with fast.apiserver() as running:
        kubectl(running, "apply", "-f", "-", text=crd.yaml_text())
        kubectl(running, "wait", "--for=condition=Established", "--timeout=20s", "crd", "--all")
        yield running


def test_every_rule_has_a_fixture() -> None:
    rules = {
        (kind.name, path, index) for kind in KINDS for path in kind.rules for index in range(len(kind.rules[path]))
    }

    assert {(kind, path, index) for kind, path, index, _ in REFUSED} == rules


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "path", "index", "change"), REFUSED)
def test_the_api_server_refuses_in_the_users_words(
    server: fast.ApiServer, kind: str, path: str, index: int, change: dict[str, Any]
) -> None:
    answer = _create(server, kind, {**SPECS[kind], **change})

    rule = next(one for one in KINDS if one.name == kind).rules[path][index]
    assert answer.returncode != 0
    assert f"{path}{rule.field_path or ''}: " in answer.stderr
    assert rule.message in answer.stderr


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "properties", "well"), PROPERTIES)
def test_schema_and_plan_agree_on_raw_properties(
    server: fast.ApiServer, kind: str, properties: dict[str, str], well: bool
) -> None:
    """What the API server lets through is what the plan accepts, and the other way round."""
    spec = {**SPECS[kind], **_raw(kind, properties)}
    judged = {"KafkaConnection": kafkaconnection, "ConnectCluster": connectcluster, "Connector": connector}[kind].judge(
        worlds.resource(kind, "x", spec)
    )

    assert (judged.problem is None) is well
    assert (_create(server, kind, spec).returncode == 0) is well


@pytest.mark.apiserver
@pytest.mark.parametrize("kind", SPECS)
def test_the_api_server_takes_the_shortest_spec_and_refuses_a_typo(server: fast.ApiServer, kind: str) -> None:
    assert _create(server, kind, SPECS[kind]).returncode == 0
    typo = _create(server, kind, {**SPECS[kind], "sclae": {}})
    assert typo.returncode != 0
    assert 'unknown field "spec.sclae"' in typo.stderr


@pytest.mark.apiserver
def test_the_category_and_short_names_list_the_kinds(server: fast.ApiServer) -> None:
    for name in ("headrace", "hrkafka", "hrconnect", "hrconn", "hrc"):
        kubectl(server, "get", name, "-A")


def _raw(kind: str, properties: dict[str, str]) -> dict[str, Any]:
    match kind:
        case "KafkaConnection":
            return {"properties": properties}
        case "ConnectCluster":
            return {"workers": {"config": properties}}
        case _:
            return {"config": properties}


def _create(server: fast.ApiServer, kind: str, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "x", "namespace": "default"}, "spec": spec}
    argv = [*server.kubectl, "create", "--dry-run=server", "--validate=strict", "-f", "-"]
    return subprocess.run(argv, input=json.dumps(made), capture_output=True, text=True, check=False, timeout=30)
