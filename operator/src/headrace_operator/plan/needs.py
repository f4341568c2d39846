"""What must be read before a plan can be made: pure answers that observers ask for.

Those that take a spec as JSON tolerate one that is not valid, and then name what they can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace_operator.api import properties as raw
from headrace_operator.api import secrets
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.api.outboxrelay import Database
from headrace_operator.api.schema import LABEL
from headrace_operator.observed.connect import WorkersSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import marks, names


def kafka_secrets(spec: KafkaConnectionSpec) -> tuple[str, ...]:
    """Return the names of the Secrets a KafkaConnection's spec refers to."""
    return tuple(dict.fromkeys(name for name, _ in kafka_keys(spec)))


def kafka_keys(spec: KafkaConnectionSpec) -> tuple[tuple[str, str], ...]:
    """Return the Secrets a KafkaConnection's spec refers to, each with a key that it must have."""
    found: list[tuple[str, str]] = []
    if spec.sasl:
        login = spec.sasl.credentials
        found += [(login.secret, key) for key in login.keys]
    if spec.sasl and spec.sasl.oauth and (ca := spec.sasl.oauth.ca):
        found.append((ca.secret, ca.key))
    if spec.tls and spec.tls.ca:
        found.append((spec.tls.ca.secret, spec.tls.ca.key))
    if spec.tls and (own := spec.tls.certificate):
        found += [(own.secret, key) for key in own.keys]
    return tuple(found)


def database_keys(database: Database) -> tuple[tuple[str, str], ...]:
    """Return the Secrets that an OutboxRelay's database is reached by, each with a key that it must have."""
    found = [(database.credentials.secret, key) for key in database.credentials.keys]
    tls = database.tls
    if tls and tls.ca:
        found.append((tls.ca.secret, tls.ca.key))
    if tls and tls.certificate:
        found += [(tls.certificate.secret, key) for key in tls.certificate.keys]
    return tuple(found)


def connector_secrets(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the Secrets that the workers of a Connector's spec are given the right to read."""
    name = ((spec.get("postgres") or {}).get("credentials") or {}).get("secret")
    return (name,) if name else ()


def connector_named(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all Secrets that a Connector's spec refers to, those in its raw properties included."""
    return tuple(dict.fromkeys((*connector_secrets(spec), *raw.referred(spec.get("config")))))


def connector_keys(spec: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys that the Secret of a Connector's spec must have."""
    login = (spec.get("postgres") or {}).get("credentials") or {}
    return frozenset((login.get("usernameKey") or "username", login.get("passwordKey") or "password"))


def workers_secrets(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the Secrets of a ConnectCluster's spec: those that pods are given, and those that it is entered by."""
    given = [part.get("template") for name in ("workers", "agent") if isinstance(part := spec.get(name), Mapping)]
    return tuple(dict.fromkeys(secrets.named([*given, spec.get("rest"), spec.get("external")])))


def every_secret(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all Secrets that a spec refers to."""
    return tuple(dict.fromkeys(secrets.named(spec)))


def accepted(resource: Resource) -> Mapping[str, Any]:
    """Return the last accepted spec of a resource, empty when there is none."""
    found = (resource.status.get("accepted") or {}).get("spec")
    return found if isinstance(found, Mapping) else {}


def place(resource: Resource) -> str:
    """Return what a pass over ``resource`` waits for beside Kubernetes and Kafka: a Connector's Kafka Connect."""
    connect = resource.spec.get("connect")
    return names.connect_url(resource.namespace, str(connect)) if resource.kind == "Connector" and connect else ""


def names_shareable(spec: Mapping[str, Any]) -> bool:
    """Tell whether a Connector's spec names a slot or a publication; those that Headrace makes are nobody else's."""
    postgres = spec.get("postgres") or {}
    return bool(postgres.get("slot") or postgres.get("publication") or "publication.name" in (spec.get("config") or {}))


def code_config_map(spec: Mapping[str, Any]) -> str | None:
    """Return the name of the ConfigMap with a Consumer's Python code."""
    python = (spec.get("handler") or {}).get("python") or {}
    name = (python.get("source") or {}).get("configMap")
    return str(name) if name else None


def orphans(
    cluster: Resource, workers: WorkersSeen | Unknown, connectors: tuple[Resource, ...] | Unknown
) -> Mapping[str, str]:
    """Return connectors on the workers of ``cluster`` that seem to be nobody's, with the name of the Connector to read.

    Only those count that carry our mark and a name of this namespace, such as a Connector can have: others would lead
    elsewhere in an address. Nothing is an orphan while something is unknown.
    Nobody's is also what a namesake before a Connector left, unless that goes on with it.
    """
    if isinstance(workers, Unknown) or isinstance(connectors, Unknown):
        return {}
    here = names.connector(cluster.place, "")
    wanted = {
        names.connector(one.place, one.name): one for one in connectors if one.spec.get("connect") == cluster.name
    }
    return {
        name: name.removeprefix(here)
        for name, seen in sorted(workers.connectors.items())
        if marks.NAMESPACE in seen.config
        and name.startswith(here)
        and re.fullmatch(LABEL, name.removeprefix(here))
        and (name not in wanted or marks.is_left(seen.config, wanted[name]))
    }
