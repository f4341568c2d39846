"""A pipeline over a Kafka that asks for TLS and a login, whose database a source agent looks at.

Its namespace ends, though operator, Connect and Kafka are gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.images import store
from tests.cluster.stack import stack
from tests.demo import applying, reach
from tests.e2e import world
from tests.e2e.telling import Telling
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

NAMESPACE, SYSTEM = "leaving", "leaving-system"
KINDS = ("kafkaconnections", "connectclusters", "connectors", "consumers")
KAFKA = {
    "bootstrapServers": f"kafka.{NAMESPACE}.svc:9094",
    "tls": {"ca": {"secret": "kafka-ca", "key": "ca.crt"}},
    "sasl": {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "kafka-user"}},
}
OF_THE_DATABASE = {"SourceReady", "SlotHealthy", "Streaming"}
ORDER = "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', '1', 'OrderPlaced', '{}')"


@pytest.fixture
def namespace(telling: Telling, tmp_path: Path) -> Iterator[str]:
    """A namespace with a pipeline, a Kafka, a database and an operator of its own, beside the story that is told."""
    telling.until("the kinds that the story installs", _are_served)
    stack.up([stack.kafka(NAMESPACE, certificates=tmp_path), stack.postgres(NAMESPACE, "shop-db")])
    applying.tables(reach.local(), NAMESPACE)
    _helm("upgrade", "--install", "headrace", "charts/headrace", "--create-namespace", *_values())
    world.apply(NAMESPACE, *_pipeline())
    yield NAMESPACE
    _helm("uninstall", "headrace")
    world.kubectl("delete", "namespace", SYSTEM, "--wait=false")


def test_a_namespace_ends_without_operator_connect_and_kafka(namespace: str) -> None:
    until("the Connector running", world.is_ready(namespace, "connectors", "orders-db"))
    until("the source agent's word of the database", lambda: _true(namespace) >= OF_THE_DATABASE)
    _sql(ORDER)
    until("the Consumer reading", world.is_ready(namespace, "consumers", "billing"))
    until("the dead letter of a target that is not there", lambda: len(world.dead_letters(namespace, "billing")) == 1)
    world.kubectl("-n", SYSTEM, "scale", "deployment/headrace-operator", "--replicas=0")
    until("the operator's end", lambda: _pods(SYSTEM, "app.kubernetes.io/name=headrace") == 0)
    world.kubectl("-n", namespace, "scale", "deployment/main-connect", "statefulset/kafka", "--replicas=0")
    until("the workers' end", lambda: _pods(namespace, "headrace.dev/connect=main") == 0)
    until("Kafka's end", lambda: _pods(namespace, "app.kubernetes.io/name=kafka") == 0)
    assert all(world.kubectl("-n", namespace, "get", f"{kind}.headrace.dev", "-o", "name") for kind in KINDS)

    world.kubectl("delete", "namespace", namespace, "--wait=false")

    until("the namespace's end", lambda: not _exists(namespace))


def _pipeline() -> list[dict[str, Any]]:
    """Return the example's resources, with the Kafka that asks for TLS and a login, and with a source agent."""
    resources: list[dict[str, Any]] = list(yaml.safe_load_all(world.EXAMPLE.read_text()))
    resources[0]["spec"] = KAFKA
    resources[1]["spec"]["agent"] = {"enabled": True}
    resources[3]["spec"]["delivery"]["retry"]["attempts"] = 1
    return resources


def _true(namespace: str) -> set[str]:
    """Return the conditions of the Connector that are true."""
    found = world.get(namespace, "connectors", "orders-db").get("status", {}).get("conditions", ())
    return {one["type"] for one in found if one["status"] == "True"}


def _sql(statement: str) -> None:
    login = 'PGPASSWORD="$POSTGRES_PASSWORD" psql -qh localhost -U "$POSTGRES_USER" "$POSTGRES_DB"'
    world.kubectl("-n", NAMESPACE, "exec", "-i", "statefulset/shop-db", "--", "sh", "-c", login, stdin=statement)


def _values() -> list[str]:
    images = store.references()
    chosen = [f"images.{name}={images[name]}" for name in ("operator", "connect", "runtime", "agent")]
    return [word for value in (f"watch.namespaces={{{NAMESPACE}}}", *chosen) for word in ("--set", value)]


def _helm(*words: str) -> None:
    reach.local().run("helm", *words, "--namespace", SYSTEM, "--wait", "--timeout", "5m")


def _are_served() -> bool:
    served = world.kubectl("api-resources", "--api-group=headrace.dev", "-o", "name").split()
    return {f"{kind}.headrace.dev" for kind in KINDS} <= set(served)


def _pods(namespace: str, labels: str) -> int:
    return len(world.listed(namespace, "pods", labels))


def _exists(namespace: str) -> bool:
    return bool(world.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name"))
