"""How pods of the runtime log in to a Kafka: the part of their contract that says so, and the files it names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace import config as contract
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec, OAuth, Tls
from headrace_operator.api.properties import tuning


def contract_of(kafka: KafkaConnectionSpec) -> contract.Kafka:
    """Return the part of a contract that says where Kafka is and how to log in."""
    sasl = kafka.sasl and contract.Sasl(
        mechanism=kafka.sasl.mechanism,
        username_file=f"{contract.CREDENTIALS}/username",
        password_file=f"{contract.CREDENTIALS}/password",
        oauth=kafka.sasl.oauth and _oauth(kafka.sasl.oauth),
    )
    return contract.Kafka(
        bootstrap_servers=kafka.bootstrap_servers,
        sasl=sasl,
        tls=kafka.tls and _tls(kafka.tls),
        properties=tuning(kafka.properties),
    )


def _oauth(oauth: OAuth) -> contract.OAuth:
    authority = f"{contract.CREDENTIALS}/provider.crt" if oauth.ca else None
    return contract.OAuth(token_endpoint=oauth.token_endpoint, scope=oauth.scope, ca_file=authority)


def _tls(tls: Tls) -> contract.Tls:
    return contract.Tls(
        ca_file=f"{contract.CREDENTIALS}/ca.crt" if tls.ca else None,
        certificate_file=f"{contract.CREDENTIALS}/tls.crt" if tls.certificate else None,
        key_file=f"{contract.CREDENTIALS}/tls.key" if tls.certificate else None,
    )


def files(kafka: KafkaConnectionSpec) -> list[dict[str, Any]]:
    """Return the sources of the volume with the files that `contract_of` names; none without a login."""
    sources: list[dict[str, Any]] = []
    if kafka.sasl:
        credentials = kafka.sasl.credentials
        items = as_files(credentials.keys, "username", "password")
        sources.append({"secret": {"name": credentials.secret, "items": items}})
    if kafka.sasl and kafka.sasl.oauth and (ca := kafka.sasl.oauth.ca):
        sources.append({"secret": {"name": ca.secret, "items": [{"key": ca.key, "path": "provider.crt"}]}})
    if kafka.tls and kafka.tls.ca:
        items = [{"key": kafka.tls.ca.key, "path": "ca.crt"}]
        sources.append({"secret": {"name": kafka.tls.ca.secret, "items": items}})
    if kafka.tls and (own := kafka.tls.certificate):
        items = as_files(own.keys, "tls.crt", "tls.key")
        sources.append({"secret": {"name": own.secret, "items": items}})
    return sources


def as_files(keys: Iterable[str], *names: str) -> list[dict[str, str]]:
    """Return the items of a volume that has these keys of a Secret by other names."""
    return [{"key": key, "path": name} for key, name in zip(keys, names, strict=True)]
