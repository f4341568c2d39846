"""No value of a Secret is in anything that the operator, at the level DEBUG, or Kafka Connect leaves behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import API_VERSION
from tests.canaries import Canary, planted, seen
from tests.cluster.fast import ApiServer
from tests.kafka_broker import KafkaBroker
from tests.operator.capturing import Capturing
from tests.operator.operator_process import kubectl, operator, read
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.apiserver, pytest.mark.case("clusters-15")]

PLACE = "canaries"
MADE = (
    *(kind.plural for kind in KINDS),
    *("configmaps", "deployments.apps", "events", "networkpolicies", "poddisruptionbudgets", "rolebindings", "roles"),
    *("serviceaccounts", "services"),
)
"""All that the operator makes or writes into, and no Secret."""


def secret(name: str, **values: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def pipeline(servers: str) -> list[dict[str, Any]]:
    """Return resources that name a Secret wherever one may be named for a purpose of its own."""
    database = {"host": "127.0.0.1", "port": 1, "database": "shop", "credentials": {"secret": "database"}}
    redis = {"url": "redis://127.0.0.1:1", "credentials": {"secret": "redis"}}
    env = [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "code", "key": "key"}}}]
    sasl = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "login"}}
    consumer = {
        "from": {"kafka": "kafka", "topics": ["canaries"]},
        "handler": {"http": {"url": "http://127.0.0.1:1/"}},
        "delivery": {"deduplication": {"redis": redis}},
        "template": {"env": env, "envFrom": [{"secretRef": {"name": "code"}}]},
    }
    connector = {"connect": "main", "postgres": database, "capture": {"outbox": {"table": "public.outbox"}}}
    return [
        resource("KafkaConnection", "kafka", {"bootstrapServers": servers, "sasl": sasl}),
        resource("ConnectCluster", "main", {"kafka": "kafka", "workers": {}}),
        resource("Connector", "orders", connector),
        resource("Consumer", "billing", consumer),
    ]


def apply(server: ApiServer, objects: list[dict[str, Any]]) -> None:
    kubectl(server, "apply", "-n", PLACE, "-f", "-", text=yaml.safe_dump_all(objects))


def reason(server: ApiServer, kind: str, name: str, condition: str) -> str:
    found = read(server, kind, name, PLACE).get("status", {}).get("conditions", [])
    return next((str(one["reason"]) for one in found if one["type"] == condition), "")


def stored(broker: KafkaBroker) -> dict[str, bytes]:
    """Return what all topics have on the broker's disk, and its log."""
    files = (broker.log.parent / "data").rglob("*.log")
    return {f"topic {one.parent.name}": one.read_bytes() for one in files} | {"Kafka's log": broker.log.read_bytes()}


def test_what_the_operator_leaves_behind(server: ApiServer, kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Logged in, and refused with another password; the Secrets are in the API server's own records alone."""
    names = ("login/password", "login/second", "database/password", "redis/password", "code/key")
    every = {name: planted(name) for name in names}
    kafka_broker.add_user(PLACE, every["login/password"].value)
    kafka_broker.create_topic("canaries")
    kubectl(server, "create", "namespace", PLACE)
    logins = {name: every[f"{name}/password"].value for name in ("login", "database", "redis")}
    apply(server, [secret(name, username=PLACE, password=value) for name, value in logins.items()])
    apply(server, [secret("code", key=every["code/key"].value), *pipeline(kafka_broker.sasl_servers)])
    with operator(server, tmp_path, watched=PLACE, level="DEBUG") as running:
        until("the login", lambda: reason(server, "kafkaconnection", "kafka", "Reachable") == "KafkaReachable")
        until("pods", lambda: "billing-consumer" in kubectl(server, "get", "deploy", "-n", PLACE, "-o", "name"))
        apply(server, [secret("login", username=PLACE, password=every["login/second"].value)])
        until("a refusal", lambda: reason(server, "kafkaconnection", "kafka", "Reachable") == "KafkaUnreachable")
        page = fetched(f"http://127.0.0.1:{running.metrics_port}/metrics")
        assert running.stop() == 0

    left: dict[str, str | bytes] = {one: kubectl(server, "get", one, "-n", PLACE, "-o", "yaml") for one in MADE}
    left |= {"the operator's log": running.log.read_text(), "its metrics": page, "its plan": plan(server, tmp_path)}
    assert "level=debug" in running.log.read_text()
    assert seen(every.values(), left | stored(kafka_broker)) == []
    assert seen(
        [every["code/key"]], {"the Secret": kubectl(server, "get", "secret", "code", "-n", PLACE, "-o", "yaml")}
    )


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return bytes(answer.read())


def plan(server: ApiServer, folder: Path) -> str:
    """Return what the command says that the operator would do."""
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump_all(pipeline("127.0.0.1:1")))
    command = [str(Path(sys.executable).parent / "headrace-operator"), "plan", "-n", PLACE, "-f", str(file)]
    environment = {"KUBECONFIG": str(server.kubeconfig), "HEADRACE_LOG_LEVEL": "DEBUG", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "billing" in done.stdout, done.stderr
    return done.stdout + done.stderr


async def test_what_kafka_connect_leaves_behind(shop: Capturing) -> None:
    """Rows are captured; then the database refuses the password, and a new one is given."""
    first, second = planted("database/first"), planted("database/second")
    await capture(shop, first)
    shop.set_password(second.value)
    shop.run("INSERT INTO public.t VALUES (1)")
    await shop.await_(shop.name, lambda ready: "password authentication failed" in ready["message"])
    shop.write_secret(second.value)
    await shop.await_(shop.name, lambda ready: ready["reason"] in ("Recovering", "Ready"))
    await shop.rows_while_looking(f"shop.{shop.name}.public.t", 1)

    said = await asyncio.to_thread(fetched, f"{shop.worker.url}/connectors?expand=info&expand=status")
    left: dict[str, str | bytes] = {
        "statuses": repr(shop.shelf.objects),
        "the worker's log": shop.worker.log,
        "its answers": said,
    }
    assert "password authentication failed" in shop.worker.log
    assert seen([first, second], left | stored(shop.broker)) == []


async def capture(shop: Capturing, login: Canary) -> None:
    """Have a table captured by this login."""
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)")
    shop.set_password(login.value)
    shop.write_secret(login.value)
    shop.apply(shop.name, {"tables": ["public.t"]})
    await shop.until(shop.name, "True", "Ready")
