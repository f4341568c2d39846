"""How a Kafka client reaches the brokers: the connection part of the contract as librdkafka properties.

It reads the mounted credential files at the moment it is asked, so that a rotated password is used by the next client.
It must not hold on to a secret or write one anywhere.
"""

from __future__ import annotations

from pathlib import Path

from headrace.config import Kafka, Sasl, Tls


def properties(kafka: Kafka) -> dict[str, str]:
    """Return the librdkafka properties that connect to ``kafka``; no extra property changes where or how.

    Raises ``OSError`` when a credential file cannot be read.
    """
    protocol = f"{'SASL_' if kafka.sasl else ''}{'SSL' if kafka.tls else 'PLAINTEXT'}"
    return {
        **kafka.properties,
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": protocol,
        **_login(kafka.sasl),
        **_authorities(kafka.tls),
    }


def _login(sasl: Sasl | None) -> dict[str, str]:
    if sasl is None:
        return {}
    return {
        "sasl.mechanism": sasl.mechanism,
        "sasl.username": _secret(sasl.username_file),
        "sasl.password": _secret(sasl.password_file),
    }


def _authorities(tls: Tls | None) -> dict[str, str]:
    return {"ssl.ca.location": tls.ca_file} if tls and tls.ca_file else {}


def _secret(path: str) -> str:
    try:
        return Path(path).read_bytes().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise OSError(f"{path} is not text: name the key of the Secret that holds text") from error
