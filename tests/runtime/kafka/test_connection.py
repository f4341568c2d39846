"""How a client connects follows from the contract alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.config import Kafka, OAuth, Sasl, Tls
from headrace.kafka import connection
from tests.cluster import authority

TLS = {
    name: f"/etc/headrace/kafka/{file}"
    for name, file in (("ca_file", "ca.crt"), ("certificate_file", "tls.crt"), ("key_file", "tls.key"))
}


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
        "ssl.ca.location": TLS["ca_file"],
        "ssl.certificate.location": TLS["certificate_file"],
        "ssl.key.location": TLS["key_file"],
    }
    kafka = Kafka(
        bootstrap_servers="kafka:9093",
        sasl=Sasl(mechanism="PLAIN", **files),
        tls=Tls(**TLS),
        properties={**dict.fromkeys(own, "elsewhere"), "linger.ms": "20"},
    )

    assert connection.properties(kafka) == {**own, "linger.ms": "20"}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"ca_file": "one.key"}, "one.key holds no certificates as PEM"),
        ({"certificate_file": "one.crt", "key_file": "other.key"}, "no certificate with its own key"),
        ({"certificate_file": "one.key", "key_file": "one.key"}, "no certificate with its own key"),
        ({"certificate_file": "one.crt", "key_file": "locked.key"}, "no certificate with its own key"),
        ({"certificate_file": "one.crt", "key_file": "none.key"}, "none.key"),
    ],
)
def test_files_that_no_client_would_take_are_said_without_what_they_hold(
    tmp_path: Path, files: dict[str, str], told: str
) -> None:
    """Nobody is asked for the passphrase of a key."""
    authority.issue(tmp_path, [authority.Certificate(file=name, user=name) for name in ("one", "other")])
    (tmp_path / "locked.key").write_text(authority.pkcs8(tmp_path / "one.key", passphrase="s3cret"))
    tls = Tls(**{name: str(tmp_path / file) for name, file in files.items()})

    with pytest.raises(OSError, match=told) as refused:
        connection.mounted(Kafka(bootstrap_servers="kafka:9093", tls=tls))

    assert (tmp_path / "one.key").read_text().splitlines()[1] not in repr(refused.value)


def test_a_certificate_and_its_key_go_together() -> None:
    with pytest.raises(ValueError, match="go together"):
        Tls(certificate_file="/etc/headrace/kafka/tls.crt")


def test_tokens_are_got_by_what_is_mounted(tmp_path: Path) -> None:
    """The client's secret is read by new clients alone, so it is none of the logins that are told to those that run."""
    (tmp_path / "username").write_text("orders\n")
    (tmp_path / "password").write_text("s3cret\n")
    files = {f"{name}_file": str(tmp_path / name) for name in ("username", "password")}
    oauth = OAuth(token_endpoint="https://id/token", scope="kafka", ca_file="/etc/headrace/kafka/provider.crt")
    kafka = Kafka(bootstrap_servers="kafka:9093", sasl=Sasl(mechanism="OAUTHBEARER", oauth=oauth, **files))

    assert connection.properties(kafka) == {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "orders",
        "sasl.oauthbearer.client.secret": "s3cret",
        "sasl.oauthbearer.token.endpoint.url": "https://id/token",
        "sasl.oauthbearer.scope": "kafka",
        "https.ca.location": "/etc/headrace/kafka/provider.crt",
    }
    without = kafka.model_copy(update={"sasl": Sasl(mechanism="OAUTHBEARER", oauth=OAuth(token_endpoint="x"), **files)})
    assert connection.mounted(without).login is None
    assert set(connection.mounted(without).at_start) == {"OAuth client"}
