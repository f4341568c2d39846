"""A connector is told of snapshots by a Kafka that asks for a login, and shows nobody what it logs in by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from tests.cluster import authority
from tests.connect.capturing import Parts
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-5")]

PASSWORD = 'pa"s${s}\\word-of-nobody'


def scram(parts: Parts) -> dict[str, Any]:
    """Return the login by name and password."""
    parts.broker.add_user("snapshots", PASSWORD)
    parts.worker.write_secret("shop", "kafka", username="snapshots", password=PASSWORD)
    login = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "kafka"}}
    return {"bootstrapServers": parts.broker.sasl_servers, "sasl": login}


def certificate(parts: Parts) -> dict[str, Any]:
    """Return the login by client certificate."""
    own = parts.broker.authority
    authority.sign(own, authority.Certificate(file="snapshots", user="snapshots"))
    files = {"ca.crt": (own / "ca.crt").read_text(), "tls.crt": (own / "snapshots.crt").read_text()}
    parts.worker.write_secret("shop", "mutual", **files, **{"tls.key": authority.pkcs8(own / "snapshots.key")})
    tls = {"ca": {"secret": "mutual", "key": "ca.crt"}, "certificate": {"secret": "mutual"}}
    return {"bootstrapServers": parts.broker.mutual_servers, "tls": tls}


def secrets(parts: Parts) -> list[str]:
    """Return what nobody may see: a password, and lines in the middle of a private key."""
    key = parts.worker.folder / "shop" / "mutual" / "tls.key"
    return ["word-of-nobody", *(key.read_text().splitlines()[2:5] if key.exists() else ())]


@pytest.mark.parametrize("login", [scram, certificate])
def test_it_hears_by_its_login_and_shows_that_to_nobody(parts: Parts, login: Any) -> None:
    kafka = KafkaConnectionSpec.model_validate(login(parts))
    with parts.database() as database:
        database.sql("CREATE TABLE public.t (id int PRIMARY KEY); INSERT INTO public.t SELECT generate_series(1, 50)")
        prefix = f"shop.{database.name.replace('_', '-')}"
        for one in ("signals", "notifications"):
            parts.broker.create_topic(f"{prefix}.{one}")
        captured = database.capture({"tables": ["public.t"]}, kafka=kafka)
        captured.await_count("public.t", 50)
        sent = {"id": "a", "type": "execute-snapshot", "data": {"data-collections": ["public.t"]}}
        client = Producer({"bootstrap.servers": parts.broker.bootstrap_servers})
        client.produce(f"{prefix}.signals", json.dumps(sent), prefix)
        assert client.flush(PATIENCE) == 0
        captured.await_count("public.t", 100)
        shown = json.dumps([captured.ask("GET", ""), captured.ask("GET", "/config"), captured.tasks()])

    for secret in secrets(parts):
        assert secret not in shown
        assert secret not in parts.worker.log
    assert "${" in shown
