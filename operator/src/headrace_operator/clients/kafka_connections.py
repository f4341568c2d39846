"""The Kafkas in use: one client per KafkaConnection, of its accepted spec and its present credentials.

Credentials are read here and go nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, accepted
from headrace_operator.api.properties import tuning
from headrace_operator.clients import errors
from headrace_operator.clients.kafka import Kafka
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Resource


class Kafkas:
    """Opens and closes the clients."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._open: dict[tuple[str, str], tuple[str, Kafka]] = {}

    async def open(self, connection: Resource) -> Kafka:
        """Return a client for the accepted spec of ``connection``; raises `HeadraceError`, Invalid without one."""
        spec = accepted(connection.status)
        if spec is None:
            raise errors.Invalid(f"KafkaConnection {connection.name} was never accepted: its conditions say why.")
        properties = await self._properties(connection.namespace, spec)
        key, fingerprint = (connection.namespace, connection.name), json.dumps(properties, sort_keys=True)
        known = self._open.get(key)
        if known and known[0] == fingerprint:
            return known[1]
        made = Kafka(connection.name, properties)
        self.forget(*key)
        self._open[key] = (fingerprint, made)
        return made

    def forget(self, namespace: str, name: str) -> None:
        """Close the client of a KafkaConnection that is gone, if there is one."""
        known = self._open.pop((namespace, name), None)
        if known:
            known[1].close()

    def close(self) -> None:
        """Close every client."""
        for key in tuple(self._open):
            self.forget(*key)

    async def _properties(self, namespace: str, spec: KafkaConnectionSpec) -> dict[str, str]:
        protocol = f"{'SASL_' if spec.sasl else ''}{'SSL' if spec.tls else 'PLAINTEXT'}"
        found = {"bootstrap.servers": spec.bootstrap_servers, "security.protocol": protocol}
        if spec.sasl:
            login = spec.sasl.credentials
            values = await self._kube.secret_values(namespace, login.secret)
            found["sasl.mechanism"] = spec.sasl.mechanism
            found["sasl.username"] = _value(values, login.secret, login.username_key or "username")
            found["sasl.password"] = _value(values, login.secret, login.password_key or "password")
        if spec.tls and spec.tls.ca:
            authority = await self._kube.secret_values(namespace, spec.tls.ca.secret)
            found["ssl.ca.pem"] = _value(authority, spec.tls.ca.secret, spec.tls.ca.key)
        return {**tuning(spec.properties), **found}


def _value(values: Mapping[str, bytes], secret: str, key: str) -> str:
    if key not in values:
        raise errors.Invalid(f"Secret {secret} has no key {key}: add it.")
    try:
        return values[key].decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise errors.Invalid(f"Key {key} of Secret {secret} is not text: name the key that holds text.") from error
