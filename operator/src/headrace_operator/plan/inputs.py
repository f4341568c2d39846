"""Secrets and ConfigMaps that pods read when they start: a hash over them in the template, so that a change rolls pods.

What is not among them is followed by what runs: a consumer reads its login to Kafka and to Redis again by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from headrace_operator.api import secrets
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.observed.kube import Input, Inputs, Manifest
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.plan import needs, pods
from headrace_operator.plan.children import digest

HASH = "headrace.dev/inputs-hash"
SECRET, CONFIG_MAP = "Secret", "ConfigMap"
REFERENCES = {
    "secretKeyRef": SECRET,
    "secretRef": SECRET,
    "secret": SECRET,
    "configMapKeyRef": CONFIG_MAP,
    "configMapRef": CONFIG_MAP,
    "configMap": CONFIG_MAP,
}
"""Fields of a template that name an object, in ``name`` or ``secretName``."""


def of_consumer(spec: Mapping[str, Any]) -> frozenset[Input]:
    """Return what a Consumer's pods read when they start; of a spec that is not valid what can be named."""
    code = needs.code_config_map(spec)
    return frozenset({*named(spec.get("template")), *([(CONFIG_MAP, code)] if code else ())})


def of_workers(spec: Mapping[str, Any], kafka: KafkaConnectionSpec | None) -> frozenset[Input]:
    """Return what workers read when they start: of a template, their login to Kafka, and their certificate."""
    logins = needs.kafka_secrets(kafka) if kafka else ()
    workers = spec.get("workers")
    template = workers.get("template") if isinstance(workers, Mapping) else None
    return frozenset({*named(template), *((SECRET, name) for name in (*logins, *_certificate(spec.get("rest"))))})


def of_agent(spec: Mapping[str, Any]) -> frozenset[Input]:
    """Return what the source agent reads when it starts, beside what is declared: of a template."""
    agent = spec.get("agent")
    return frozenset(named(agent.get("template") if isinstance(agent, Mapping) else None))


def of_relay(spec: Mapping[str, Any]) -> frozenset[Input]:
    """Return what an OutboxRelay's pods read when they start: of a template; their logins they read again."""
    return frozenset(named(spec.get("template")))


def _certificate(rest: Any) -> Iterator[str]:
    tls = rest.get("tls") if isinstance(rest, Mapping) else None
    yield from secrets.named(tls)


def annotation(wanted: Iterable[Input], seen: Inputs, live: Manifest | None) -> dict[str, str]:
    """Return the annotation of the pods: of what was not answered for now it says what `live` pods have."""
    found = {one: seen.get(one, Absent()) for one in sorted(wanted)}
    if any(isinstance(one, Unknown) for one in found.values()):
        before = pods.annotated(live).get(HASH)
        return {HASH: before} if before else {}
    versions = [[*one, version if isinstance(version, str) else None] for one, version in found.items()]
    return {HASH: digest(versions)} if versions else {}


def named(part: Any) -> Iterator[Input]:
    """Yield what is named anywhere in a template."""
    if isinstance(part, Mapping):
        for field, value in part.items():
            if field in REFERENCES and isinstance(value, Mapping):
                name = value.get("secretName") or value.get("name")
                if name:
                    yield REFERENCES[field], str(name)
            yield from named(value)
    elif isinstance(part, list | tuple):
        for one in part:
            yield from named(one)
