"""The Kafkas in use: one client per KafkaConnection, of its accepted spec and its present credentials.

While an edit is looked at there are two: its own pass asks by the new spec, others still by the one on record.
Credentials are read here and go nowhere else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from headrace_operator.api.kafkaconnection import Certificate, KafkaConnectionSpec, accepted, reached
from headrace_operator.api.properties import tuning
from headrace_operator.api.schema import Credentials, SecretKey
from headrace_operator.clients import errors, kafka_tokens, secret_values
from headrace_operator.clients.kafka import Kafka
from headrace_operator.clients.kafka_tokens import Client, Token, Tokens
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.kube import Kube
from headrace_operator.observed.kube import Resource

SECRETS = 5.0
"""Seconds for which one read of a Secret serves all that log in by it."""

SUPERSEDED = 30.0
"""Seconds after which a client is closed that nobody asked for, while another of its KafkaConnection is in use."""

Secret = tuple[str, str, str]
"""A namespace, a name, and the addresses that it is sent to."""


class Kafkas:
    """Opens and closes the clients; ``now`` is a monotonic clock in seconds."""

    def __init__(self, kube: Kube, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._secrets: Kept[Secret, Mapping[str, bytes]] = Kept(lambda at: kube.secret_values(*at), SECRETS, now)
        self._tokens: Kept[Client, Token] = Kept(kafka_tokens.get, kafka_tokens.AGE, now)
        self._open: dict[tuple[str, str], dict[str, tuple[float, Kafka]]] = {}

    async def open(self, connection: Resource) -> Kafka:
        """Return a client for the accepted spec of ``connection``; raises `HeadraceError`, Invalid without one."""
        spec = accepted(connection.status)
        if spec is None:
            raise errors.Invalid(f"KafkaConnection {connection.name} is not accepted: its conditions say why.")
        properties = await self._properties(connection.namespace, spec)
        login = await self._client(connection.namespace, spec)
        clients = self._open.setdefault((connection.namespace, connection.name), {})
        fingerprint = json.dumps([properties, login], sort_keys=True)
        known = clients.get(fingerprint)
        client = known[1] if known else Kafka(connection.name, properties, self._tokens_of(login))
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

    def _tokens_of(self, client: Client | None) -> Tokens | None:
        return None if client is None else Tokens(lambda: self._tokens.ask(client))

    def _supersede(self, clients: dict[str, tuple[float, Kafka]]) -> None:
        before = self._now() - SUPERSEDED
        for fingerprint in [one for one, (asked, _) in clients.items() if asked < before]:
            clients.pop(fingerprint)[1].close()

    async def _properties(self, namespace: str, spec: KafkaConnectionSpec) -> dict[str, str]:
        protocol = f"{'SASL_' if spec.sasl else ''}{'SSL' if spec.tls else 'PLAINTEXT'}"
        found = {"bootstrap.servers": spec.bootstrap_servers, "security.protocol": protocol}
        if spec.sasl:
            found["sasl.mechanism"] = spec.sasl.mechanism
        if spec.sasl and not spec.sasl.oauth:
            login = await self._pair(namespace, spec, spec.sasl.credentials)
            found["sasl.username"], found["sasl.password"] = login
        if spec.tls and (ca := spec.tls.ca):
            found["ssl.ca.pem"] = await self._authority(namespace, spec, ca)
        if spec.tls and (own := spec.tls.certificate):
            found["ssl.certificate.pem"], found["ssl.key.pem"] = await self._pair(namespace, spec, own)
        return {**tuning(spec.properties), **found}

    async def _client(self, namespace: str, spec: KafkaConnectionSpec) -> Client | None:
        """Return the OAuth client that the operator logs in by; None where it logs in otherwise."""
        oauth = spec.sasl.oauth if spec.sasl else None
        if spec.sasl is None or oauth is None:
            return None
        name, secret = await self._pair(namespace, spec, spec.sasl.credentials)
        authority = await self._authority(namespace, spec, oauth.ca) if oauth.ca else None
        return Client(oauth.token_endpoint, name, secret, oauth.scope, authority)

    async def _pair(
        self, namespace: str, spec: KafkaConnectionSpec, named: Credentials | Certificate
    ) -> tuple[str, str]:
        first, second = named.keys
        return (
            await self._read(namespace, spec, named.secret, first),
            await self._read(namespace, spec, named.secret, second),
        )

    async def _authority(self, namespace: str, spec: KafkaConnectionSpec, named: SecretKey) -> str:
        """Return certificates; without any, clients would trust those that the system does, and tell them the login."""
        if found := secret_values.certificates(await self._read(namespace, spec, named.secret, named.key)):
            return found
        raise errors.Invalid(
            f"Key {named.key} of Secret {named.secret} is empty: put the authority's certificate, in PEM."
        )

    async def _read(self, namespace: str, spec: KafkaConnectionSpec, secret: str, key: str) -> str:
        return secret_values.text(await self._secrets.ask((namespace, secret, reached(spec))), secret, key)
