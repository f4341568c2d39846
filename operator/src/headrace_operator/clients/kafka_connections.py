"""The Kafkas in use: one client per KafkaConnection, of its accepted spec and its present credentials.

While an edit is looked at there are two: its own pass asks by the new spec, others still by the one on record.
Credentials are read here and go nowhere else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, accepted
from headrace_operator.api.properties import tuning
from headrace_operator.clients import errors
from headrace_operator.clients.kafka import Kafka
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Resource

SECRETS = 5.0
"""Seconds for which one read of a Secret serves all that log in by it."""

SUPERSEDED = 30.0
"""Seconds after which a client is closed that nobody asked for, while another of its KafkaConnection is in use."""

Secret = tuple[str, str, str]
"""A namespace, a name, and the address that it is sent to."""


class Kafkas:
    """Opens and closes the clients; ``now`` is a monotonic clock in seconds."""

    def __init__(self, kube: Kube, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._secrets: Kept[Secret, Mapping[str, bytes]] = Kept(lambda at: kube.secret_values(*at), SECRETS, now)
        self._open: dict[tuple[str, str], dict[str, tuple[float, Kafka]]] = {}

    async def open(self, connection: Resource) -> Kafka:
        """Return a client for the accepted spec of ``connection``; raises `HeadraceError`, Invalid without one."""
        spec = accepted(connection.status)
        if spec is None:
            raise errors.Invalid(f"KafkaConnection {connection.name} is not accepted: its conditions say why.")
        properties = await self._properties(connection.namespace, spec)
        clients = self._open.setdefault((connection.namespace, connection.name), {})
        fingerprint = json.dumps(properties, sort_keys=True)
        known = clients.get(fingerprint)
        client = known[1] if known else Kafka(connection.name, properties)
        clients[fingerprint] = (self._now(), client)
        self._supersede(clients)
        return client

    def forget(self, namespace: str, name: str) -> None:
        """Close the clients of a KafkaConnection that is gone, if there are any."""
        for _, client in self._open.pop((namespace, name), {}).values():
            client.close()

    def close(self) -> None:
        """Close every client."""
        for key in tuple(self._open):
            self.forget(*key)

    def _supersede(self, clients: dict[str, tuple[float, Kafka]]) -> None:
        before = self._now() - SUPERSEDED
        for fingerprint in [one for one, (asked, _) in clients.items() if asked < before]:
            clients.pop(fingerprint)[1].close()

    async def _properties(self, namespace: str, spec: KafkaConnectionSpec) -> dict[str, str]:
        protocol = f"{'SASL_' if spec.sasl else ''}{'SSL' if spec.tls else 'PLAINTEXT'}"
        found = {"bootstrap.servers": spec.bootstrap_servers, "security.protocol": protocol}
        if spec.sasl:
            login = spec.sasl.credentials
            values = await self._secrets.ask((namespace, login.secret, spec.bootstrap_servers))
            found["sasl.mechanism"] = spec.sasl.mechanism
            found["sasl.username"], found["sasl.password"] = (_value(values, login.secret, key) for key in login.keys)
        if spec.tls and spec.tls.ca:
            authority = await self._secrets.ask((namespace, spec.tls.ca.secret, spec.bootstrap_servers))
            found["ssl.ca.pem"] = _authority(authority, spec.tls.ca.secret, spec.tls.ca.key)
        if spec.tls and (own := spec.tls.certificate):
            values = await self._secrets.ask((namespace, own.secret, spec.bootstrap_servers))
            found["ssl.certificate.pem"], found["ssl.key.pem"] = (_value(values, own.secret, key) for key in own.keys)
        return {**tuning(spec.properties), **found}


def _authority(values: Mapping[str, bytes], secret: str, key: str) -> str:
    """Return certificates; without any, clients would trust those that the system does, and tell them the login."""
    if text := _value(values, secret, key).strip():
        return text
    raise errors.Invalid(f"Key {key} of Secret {secret} is empty: put the certificate of Kafka's authority, in PEM.")


def _value(values: Mapping[str, bytes], secret: str, key: str) -> str:
    if key not in values:
        raise errors.Invalid(f"Secret {secret} has no key {key}: add it.")
    try:
        return values[key].decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise errors.Invalid(f"Key {key} of Secret {secret} is not text: name the key that holds text.") from error
