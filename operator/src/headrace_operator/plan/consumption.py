"""The objects that run a Consumer's code: the contract as a ConfigMap, and the Deployment. It only makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace import config as contract
from headrace import names as kafka_names
from headrace_operator.api.consumer import ConsumerSpec, Delivery, Handler, Http, OnDeadLetter, Python, Retry
from headrace_operator.api.durations import seconds
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.plan import contracts, deduplication, kafka_login, names, network, template
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

CODE = "/etc/headrace/code"

GRACE, SPARE = 45, 15
"""Seconds that a pod has to stop, and how many of them are not for what runs: the runtime ends itself 5 s earlier."""

MEMORY, WORKER = 512, 256
"""Mebibytes that a container may take for the consumer's own process, and for each worker process."""

START = 600
"""Seconds that a pod has until it answers: it imports the handler's code before, however long that takes."""


@dataclass(frozen=True, kw_only=True)
class Pods:
    """How many pods there are, and the annotation that says what they read when they start."""

    replicas: int
    started_with: Mapping[str, str]


def manifests(
    resource: Resource,
    spec: ConsumerSpec,
    kafka: KafkaConnectionSpec,
    document: Manifest,
    pods: Pods,
    settings: Settings,
) -> tuple[Manifest, ...]:
    """Return every object of a Consumer with its contract as this `document`, and these `pods`.

    What protects comes first.
    """
    name = names.consumer_child(resource.name)
    return (
        child(resource, "v1", "ServiceAccount", name, {"automountServiceAccountToken": False}),
        budget(resource, name),
        *((network.only_asked(resource, name),) if settings.watches_all else ()),
        document,
        child(
            resource,
            "apps/v1",
            "Deployment",
            name,
            {
                "spec": template.laid_over(
                    {
                        "replicas": pods.replicas,
                        "selector": {"matchLabels": selector(resource)},
                        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                        "revisionHistoryLimit": HISTORY,
                        "template": _template(resource, spec, kafka, document, pods, settings),
                    },
                    spec.template,
                )
            },
        ),
    )


def config_map(resource: Resource, config: contract.Config) -> Manifest:
    """Return the ConfigMap with the contract that the consumer's pods read."""
    return contracts.config_map(resource, names.consumer_child(resource.name), {"config.json": contract.dump(config)})


def configuration(
    resource: Resource,
    spec: ConsumerSpec,
    kafka: KafkaConnectionSpec,
    group: contract.GroupProtocol,
    topics: Sequence[str],
    home: str,
) -> contract.Config:
    """Return the contract that the consumer's pods read; ``home`` is the UID of the namespace."""
    place = (resource.place, resource.name)
    return contract.Config(
        namespace=resource.namespace,
        consumer=resource.name,
        pipeline=resource.labels.get("headrace.dev/pipeline") or resource.name,
        group=kafka_names.group(*place),
        mark=f"{home}/{resource.uid}",
        group_protocol=group,
        kafka=kafka_login.contract_of(kafka),
        topics=contract.Topics(
            sources=tuple(topics),
            retry=kafka_names.retry_topic(*place),
            dead_letters=kafka_names.dead_letter_topic(*place),
            resolutions=kafka_names.resolutions_topic(*place),
        ),
        handler=_handler(spec.handler),
        delivery=_delivery(spec.delivery, concurrency(spec)),
        stop=((spec.template and spec.template.termination_grace_period_seconds) or GRACE) - SPARE,
    )


def concurrency(spec: ConsumerSpec) -> int:
    """Return how many records are in flight in one replica."""
    return (spec.delivery and spec.delivery.concurrency) or (2 if _is_isolated(spec) else 8)


def _is_isolated(spec: ConsumerSpec) -> bool:
    """Whether each record in flight has a worker process."""
    return spec.handler.python is not None and spec.handler.python.isolation == "Process"


def _handler(handler: Handler) -> contract.Handler:
    match handler:
        case Handler(http=Http() as http):
            return contract.Handler(http=_http(http))
        case Handler(python=Python() as python):
            path = CODE if python.source else None
            called = contract.Python(
                function=python.function,
                path=path,
                timeout=seconds(python.timeout, 30),
                isolation=python.isolation or "Thread",
                memory=WORKER << 20 if python.isolation == "Process" else None,
            )
            return contract.Handler(python=called)
        case _:
            raise AssertionError("an accepted handler is one of http and python")


def _delivery(delivery: Delivery | None, concurrency: int) -> contract.Delivery:
    known = contract.Delivery(concurrency=concurrency)
    if delivery is None:
        return known
    return contract.Delivery(
        order=delivery.order or known.order,
        concurrency=concurrency,
        rate=delivery.rate and contract.Rate(per_second=delivery.rate.per_second),
        retry=_retry(delivery.retry),
        on_offset_lost=delivery.on_offset_lost or known.on_offset_lost,
        on_dead_letter=_on_dead_letter(delivery.on_dead_letter),
        deduplication=deduplication.configuration(delivery.deduplication),
        message_id_header=delivery.message_id_header,
    )


def _on_dead_letter(wish: OnDeadLetter | None) -> contract.OnDeadLetter:
    known = contract.OnDeadLetter()
    compensate = wish.compensate if wish else None
    return contract.OnDeadLetter(
        action=(wish and wish.action) or known.action,
        compensate=compensate and contract.Compensate(topic=compensate.topic, http=_http(compensate.http)),
    )


def _http(http: Http | None) -> contract.Http | None:
    return contract.Http(url=http.url, timeout=seconds(http.timeout, 30)) if http else None


def _retry(retry: Retry | None) -> contract.Retry:
    known = contract.Retry()
    backoff = retry.backoff if retry else None
    return contract.Retry(
        attempts=(retry and retry.attempts) or known.attempts,
        initial=seconds(backoff.initial if backoff else None, known.initial),
        factor=float((backoff and backoff.factor) or known.factor),
        max=seconds(backoff.max if backoff else None, known.max),
        max_age=seconds(retry.max_age, 0) if retry and retry.max_age else None,
        max_crash_attempts=(retry and retry.max_crash_attempts) or known.max_crash_attempts,
        max_in_memory=seconds(retry.max_in_memory if retry else None, known.max_in_memory),
    )


def _template(
    resource: Resource,
    spec: ConsumerSpec,
    kafka: KafkaConnectionSpec,
    document: Manifest,
    pods: Pods,
    settings: Settings,
) -> dict[str, Any]:
    scraped = scrape(contract.PORT, wanted=settings.scrape_annotations)
    volumes = _volumes(document, spec, kafka)
    return {
        "metadata": {"labels": labels(resource), "annotations": {**pods.started_with, **scraped}},
        "spec": {
            "serviceAccountName": names.consumer_child(resource.name),
            "automountServiceAccountToken": False,
            "securityContext": pod_security(),
            "terminationGracePeriodSeconds": GRACE,
            "containers": [_container(spec, [volume["name"] for volume in volumes], settings)],
            "volumes": volumes,
            **spread(resource),
            **pull_secrets(settings.image_pull_secrets),
        },
    }


def _container(spec: ConsumerSpec, volumes: Sequence[str], settings: Settings) -> dict[str, Any]:
    places = {
        "config": "/etc/headrace/config",
        "kafka": contract.CREDENTIALS,
        "redis": contract.REDIS_CREDENTIALS,
        "code": CODE,
        "tmp": "/tmp",
    }
    python = spec.handler.python
    memory = MEMORY + WORKER * (concurrency(spec) if _is_isolated(spec) else 0)
    return {
        "name": "consumer",
        "image": (python and python.image) or settings.runtime_image,
        **pull_policy(settings.image_pull_policy),
        "command": ["headrace", "run"],
        "ports": [{"name": "http", "containerPort": contract.PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": f"{memory}Mi"}},
        "securityContext": container_security(),
        "startupProbe": {**probe("/healthz"), "periodSeconds": 1, "failureThreshold": START},
        "readinessProbe": {**probe("/readyz"), "periodSeconds": 2, "timeoutSeconds": 3},
        "livenessProbe": {**probe("/healthz"), "periodSeconds": 10, "failureThreshold": 6},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": name, "mountPath": places[name], **({} if name == "tmp" else {"readOnly": True})}
            for name in volumes
        ],
    }


def _volumes(document: Manifest, spec: ConsumerSpec, kafka: KafkaConnectionSpec) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": "config", "configMap": {"name": contracts.name(document)}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounted = {"kafka": kafka_login.files(kafka), "redis": deduplication.credentials(deduplication.wanted(spec))}
    volumes += [{"name": name, "projected": {"sources": sources}} for name, sources in mounted.items() if sources]
    if spec.handler.python and spec.handler.python.source:
        volumes.append({"name": "code", "configMap": {"name": spec.handler.python.source.config_map}})
    return volumes
