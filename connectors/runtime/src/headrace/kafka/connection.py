"""How a Kafka client reaches the brokers: the connection part of the contract as librdkafka properties.

It reads the mounted credential files at the moment it is asked, so that what was rotated is used by the next client,
and can be compared with what a client has.
It must not hold on to a secret or write one anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from headrace import mounted as files
from headrace.config import Kafka, OAuth, Sasl, Tls


class Login(NamedTuple):
    """A user name and a password."""

    user: str
    password: str


class Mounted(NamedTuple):
    """What the mounted files hold; None is not wanted.

    A login is told to clients that run; ``at_start`` is what they read only as they start, by what it is called.
    """

    login: Login | None
    at_start: Mapping[str, bytes]


def mounted(kafka: Kafka) -> Mounted:
    """Return what the credential files of ``kafka`` hold now; raises ``OSError`` when one is of no use."""
    return Mounted(
        login=_login(kafka.sasl) if kafka.sasl and not kafka.sasl.oauth else None,
        at_start={
            **(_client(kafka.sasl, kafka.sasl.oauth) if kafka.sasl and kafka.sasl.oauth else {}),
            **(_at_start(kafka.tls) if kafka.tls else {}),
        },
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
        **(_tls(kafka.tls) if kafka.tls else {}),
    }


def _sasl(sasl: Sasl | None) -> dict[str, str]:
    if sasl is None:
        return {}
    login = _login(sasl)
    if sasl.oauth:
        return {"sasl.mechanism": sasl.mechanism, **_tokens(login, sasl.oauth)}
    return {"sasl.mechanism": sasl.mechanism, "sasl.username": login.user, "sasl.password": login.password}


def _tokens(client: Login, oauth: OAuth) -> dict[str, str]:
    """Return how the Kafka client gets its tokens itself, and renews them (OpenID Connect, client credentials)."""
    more = {"sasl.oauthbearer.scope": oauth.scope, "https.ca.location": oauth.ca_file}
    return {
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": client.user,
        "sasl.oauthbearer.client.secret": client.password,
        "sasl.oauthbearer.token.endpoint.url": oauth.token_endpoint,
        **{name: value for name, value in more.items() if value},
    }


def _client(sasl: Sasl, oauth: OAuth) -> dict[str, bytes]:
    found = {"OAuth client": "\0".join(_login(sasl)).encode()}
    if oauth.ca_file:
        found["certificate authority of the token endpoint"] = files.authority(oauth.ca_file)
    return found


def _login(sasl: Sasl) -> Login:
    return Login(files.text(sasl.username_file), files.text(sasl.password_file))


def _tls(tls: Tls) -> dict[str, str]:
    places = {
        "ssl.ca.location": tls.ca_file,
        "ssl.certificate.location": tls.certificate_file,
        "ssl.key.location": tls.key_file,
    }
    return {name: place for name, place in places.items() if place}


def _at_start(tls: Tls) -> dict[str, bytes]:
    found = {}
    if tls.ca_file:
        found["certificate authority of Kafka"] = files.authority(tls.ca_file)
    if tls.certificate_file and tls.key_file:
        found["client certificate"] = files.pair(tls.certificate_file, tls.key_file)
    return found
