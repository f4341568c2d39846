"""How a Kafka client reaches the brokers: the connection part of the contract as librdkafka properties.

It reads the mounted credential files at the moment it is asked, so that what was rotated is used by the next client,
and can be compared with what a client has.
It must not hold on to a secret or write one anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from headrace.config import Kafka, Sasl, Tls


class Login(NamedTuple):
    """A user name and a password."""

    user: str
    password: str


class Mounted(NamedTuple):
    """What the mounted files hold: a login, and whom to take for the brokers; None is not wanted."""

    login: Login | None
    authority: bytes | None


def mounted(kafka: Kafka) -> Mounted:
    """Return what the credential files of ``kafka`` hold now; raises ``OSError`` when one cannot be read."""
    authority = kafka.tls.ca_file if kafka.tls else None
    return Mounted(
        login=_login(kafka.sasl) if kafka.sasl else None,
        authority=Path(authority).read_bytes() if authority else None,
    )


def properties(kafka: Kafka) -> dict[str, str]:
    """Return the librdkafka properties that connect to ``kafka``; no extra property changes where or how.

    Raises ``OSError`` when a credential file cannot be read.
    """
    protocol = f"{'SASL_' if kafka.sasl else ''}{'SSL' if kafka.tls else 'PLAINTEXT'}"
    return {
        **kafka.properties,
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": protocol,
        **_sasl(kafka.sasl),
        **_authorities(kafka.tls),
    }


def _sasl(sasl: Sasl | None) -> dict[str, str]:
    if sasl is None:
        return {}
    login = _login(sasl)
    return {"sasl.mechanism": sasl.mechanism, "sasl.username": login.user, "sasl.password": login.password}


def _login(sasl: Sasl) -> Login:
    return Login(_secret(sasl.username_file), _secret(sasl.password_file))


def _authorities(tls: Tls | None) -> dict[str, str]:
    return {"ssl.ca.location": tls.ca_file} if tls and tls.ca_file else {}


def _secret(path: str) -> str:
    try:
        return Path(path).read_bytes().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise OSError(f"{path} is not text: name the key of the Secret that holds text") from error
