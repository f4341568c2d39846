"""The objects that run an OutboxRelay: its contract as a ConfigMap, and the Deployment. It only makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace import config as runtime
from headrace import outbox as contract
from headrace_operator.api.durations import seconds
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.api.outboxrelay import Database, DatabaseTls, OutboxColumns, OutboxRelaySpec, RelayRetry
from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.plan import contracts, kafka_login, names, network, pipeline, template
from headrace_operator.plan.availability import budget, spread
from headrace_operator.plan.children import child, labels, selector
from headrace_operator.plan.pods import (
    HISTORY,
    container_security,
    pod_security,
    probe,
    pull_policy,
    pull_secrets,
    scrape,
)
from headrace_operator.settings import Settings

GRACE, START = 45, 600
"""Seconds that a pod has to stop, and until it answers: as those of a Consumer."""

COMPUTE = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}

FOLDER, FILE = contract.PATH.split("/config/")
"""Where contract and logins are mounted, and the contract's key in its ConfigMap."""

READ_BY_GROUP = 0o440
"""PostgreSQL's driver takes no private key that others may read."""


@dataclass(frozen=True, kw_only=True)
class Pods:
    """What pods are made of: the contract, its Kafka, and the annotation that says what they read when they start."""

    document: Manifest
    kafka: KafkaConnectionSpec
    started_with: Mapping[str, str]


def config_map(resource: Resource, spec: OutboxRelaySpec, kafka: KafkaConnectionSpec) -> Manifest:
    """Return the ConfigMap with the contract that the relay's pods read."""
    told = contract.dump(configuration(resource, spec, kafka))
    return contracts.config_map(resource, names.relay_child(resource.name), {FILE: told})


def configuration(resource: Resource, spec: OutboxRelaySpec, kafka: KafkaConnectionSpec) -> contract.Relay:
    """Return the contract that the relay's pods read."""
    known = contract.Relay.model_fields
    return contract.Relay(
        namespace=resource.namespace,
        relay=resource.name,
        pipeline=pipeline.of_itself(resource),
        kafka=kafka_login.contract_of(kafka),
        database=_database(spec),
        table=spec.table,
        columns=_columns(spec.columns),
        topic_prefix=topic_prefix(resource, spec),
        batch=spec.batch or known["batch"].default,
        interval=seconds(spec.interval, known["interval"].default),
        retry=_retry(spec.retry),
        retention=seconds(spec.retention, 0) if spec.retention else None,
    )


def topic_prefix(resource: Resource, spec: OutboxRelaySpec) -> str:
    """Return what stands before the route in the name of a topic."""
    own = names.outbox_prefix(resource.place, resource.name)
    return own if spec.topic_prefix is None else spec.topic_prefix


def port(spec: OutboxRelaySpec) -> int:
    """Return the port of the database."""
    return spec.database.port or (5432 if spec.postgres else 3306)


def _database(spec: OutboxRelaySpec) -> contract.Database:
    database = spec.database
    return contract.Database(
        dialect="postgresql" if spec.postgres else "mysql",
        host=database.host,
        port=port(spec),
        name=database.database,
        tls=database.tls and _tls(database.tls),
    )


def _tls(tls: DatabaseTls) -> runtime.Tls:
    at = contract.DATABASE_CREDENTIALS
    return runtime.Tls(
        ca_file=f"{at}/ca.crt" if tls.ca else None,
        certificate_file=f"{at}/tls.crt" if tls.certificate else None,
        key_file=f"{at}/tls.key" if tls.certificate else None,
    )


def _columns(columns: OutboxColumns | None) -> contract.Columns:
    return contract.Columns(**columns.model_dump(exclude_none=True) if columns else {})


def _retry(retry: RelayRetry | None) -> contract.Backoff:
    known = contract.Backoff()
    backoff = retry.backoff if retry else None
    return contract.Backoff(
        attempts=(retry and retry.attempts) or known.attempts,
        initial=seconds(backoff.initial if backoff else None, known.initial),
        max=seconds(backoff.max if backoff else None, known.max),
    )


def manifests(resource: Resource, spec: OutboxRelaySpec, pods: Pods, settings: Settings) -> tuple[Manifest, ...]:
    """Return every object of an OutboxRelay; what protects comes first."""
    name = names.relay_child(resource.name)
    body = {
        "replicas": spec.replicas or 1,
        "selector": {"matchLabels": selector(resource)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "revisionHistoryLimit": HISTORY,
        "template": _template(resource, spec, pods, settings),
    }
    return (
        child(resource, "v1", "ServiceAccount", name, {"automountServiceAccountToken": False}),
        budget(resource, name),
        *((network.only_asked(resource, name),) if settings.watches_all else ()),
        pods.document,
        child(resource, "apps/v1", "Deployment", name, {"spec": template.laid_over(body, spec.template)}),
    )


def _template(resource: Resource, spec: OutboxRelaySpec, pods: Pods, settings: Settings) -> dict[str, Any]:
    scraped = scrape(runtime.PORT, wanted=settings.scrape_annotations)
    return {
        "metadata": {"labels": labels(resource), "annotations": {**pods.started_with, **scraped}},
        "spec": {
            "serviceAccountName": names.relay_child(resource.name),
            "automountServiceAccountToken": False,
            "securityContext": pod_security(),
            "terminationGracePeriodSeconds": GRACE,
            "containers": [_container(settings)],
            "volumes": [_files(spec.database, pods), {"name": "tmp", "emptyDir": {}}],
            **spread(resource),
            **pull_secrets(settings.image_pull_secrets),
        },
    }


def _container(settings: Settings) -> dict[str, Any]:
    return {
        "name": "outbox-relay",
        "image": settings.runtime_image,
        **pull_policy(settings.image_pull_policy),
        "command": ["headrace", "relay"],
        "ports": [{"name": "http", "containerPort": runtime.PORT}],
        "resources": COMPUTE,
        "securityContext": container_security(),
        "startupProbe": {**probe("/healthz"), "periodSeconds": 1, "failureThreshold": START},
        "readinessProbe": {**probe("/readyz"), "periodSeconds": 2, "timeoutSeconds": 3},
        "livenessProbe": {**probe("/healthz"), "periodSeconds": 10, "failureThreshold": 6},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _files(database: Database, pods: Pods) -> dict[str, Any]:
    """Return the contract, and beside it the logins that it names: of the database, and of Kafka."""
    told = {"name": contracts.name(pods.document), "items": kafka_login.as_files((FILE,), _within(contract.PATH))}
    kafka = [_below(runtime.CREDENTIALS, one) for one in kafka_login.files(pods.kafka)]
    logins = [_below(contract.DATABASE_CREDENTIALS, one) for one in _logins(database)]
    sources = [{"configMap": told}, *logins, *kafka]
    return {"name": "config", "projected": {"sources": sources, "defaultMode": READ_BY_GROUP}}


def _logins(database: Database) -> list[dict[str, Any]]:
    found = [(database.credentials.secret, kafka_login.as_files(database.credentials.keys, "username", "password"))]
    tls = database.tls
    if tls and tls.ca:
        found.append((tls.ca.secret, kafka_login.as_files((tls.ca.key,), "ca.crt")))
    if tls and tls.certificate:
        found.append((tls.certificate.secret, kafka_login.as_files(tls.certificate.keys, "tls.crt", "tls.key")))
    return [{"secret": {"name": name, "items": items}} for name, items in found]


def _below(folder: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Secret's files in a folder of their own."""
    secret = source["secret"]
    items = [{**item, "path": f"{_within(folder)}/{item['path']}"} for item in secret["items"]]
    return {"secret": {**secret, "items": items}}


def _within(path: str) -> str:
    return path.removeprefix(f"{FOLDER}/")
