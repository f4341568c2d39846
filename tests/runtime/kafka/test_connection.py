"""How a client connects follows from the contract alone."""

from __future__ import annotations

from pathlib import Path

from headrace.config import Kafka, Sasl, Tls
from headrace.kafka import connection


def test_no_extra_property_changes_where_or_how_it_connects(tmp_path: Path) -> None:
    """Those that tune are taken, those that would redirect or reveal are overruled."""
    for name in ("username", "password"):
        (tmp_path / name).write_text(f"{name}\n")
    files = {f"{name}_file": str(tmp_path / name) for name in ("username", "password")}
    own = {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "username",
        "sasl.password": "password",
        "ssl.ca.location": "/etc/headrace/kafka/ca.crt",
    }
    kafka = Kafka(
        bootstrap_servers="kafka:9093",
        sasl=Sasl(mechanism="PLAIN", **files),
        tls=Tls(ca_file="/etc/headrace/kafka/ca.crt"),
        properties={**dict.fromkeys(own, "elsewhere"), "linger.ms": "20"},
    )

    assert connection.properties(kafka) == {**own, "linger.ms": "20"}
