"""The objects that run Kafka Connect workers: pure makers, which make and do not insert."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.observed.kube import Manifest, Resource
from headrace_operator.plan import contracts, java_login, names, rest, template
from headrace_operator.plan.availability import budget, spread
from headrace_operator.plan.children import child, labels, selector
from headrace_operator.plan.pods import HISTORY, container_security, pod_security, pull_policy, pull_secrets, scrape
from headrace_operator.settings import Settings

METRICS = 9404
CLIENTS = ("", "producer.", "consumer.", "admin.")
SECRETS = "dev.headrace.connect.worker.SecretConfigProvider"
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def manifests(
    resource: Resource,
    spec: ConnectClusterSpec,
    kafka: KafkaConnectionSpec,
    secrets: Sequence[str],
    settings: Settings,
    started_with: Mapping[str, str],
) -> tuple[Manifest, ...]:
    """Return every object of the workers, what protects them first; their account may read `secrets` alone.

    `started_with` is the annotation that says what pods read when they start.
    """
    name = names.connect_child(resource.name)
    document = config_map(resource, spec, kafka)
    return (
        child(resource, "v1", "ServiceAccount", name, {}),
        *_rights(resource, name, secrets),
        _network_policy(resource, name, settings),
        budget(resource, name),
        document,
        _deployment(resource, spec, kafka, document, settings, started_with),
        _service(resource, name),
    )


def config_map(resource: Resource, spec: ConnectClusterSpec, kafka: KafkaConnectionSpec) -> Manifest:
    """Return the ConfigMap with the property file that the workers read."""
    properties = {"worker.properties": worker_properties(resource, spec, kafka)}
    return contracts.config_map(resource, names.connect_child(resource.name), properties)


def worker_properties(resource: Resource, spec: ConnectClusterSpec, kafka: KafkaConnectionSpec) -> str:
    """Return the workers' property file; passwords are read by the config provider, never written here."""
    group = names.connect_group(resource.place, resource.name)
    login = java_login.properties(resource.namespace, kafka)
    properties = {
        "group.id": group,
        "config.storage.topic": f"{group}.configs",
        "offset.storage.topic": f"{group}.offsets",
        "status.storage.topic": f"{group}.status",
        "config.storage.replication.factor": "-1",
        "offset.storage.replication.factor": "-1",
        "status.storage.replication.factor": "-1",
        "offset.storage.partitions": "5",
        "status.storage.partitions": "3",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        **rest.properties(spec.rest),
        "plugin.path": "/opt/headrace/connect/plugins",
        "plugin.discovery": "service_load",
        **_providers(spec),
        "topic.creation.enable": "true",
        "offset.flush.interval.ms": "5000",
        "scheduled.rebalance.max.delay.ms": "10000",
        **{f"{client}{key}": value for client in CLIENTS for key, value in login.items()},
        "bootstrap.servers": kafka.bootstrap_servers,
        **(spec.own.config or {}),
    }
    return "".join(f"{key}={_escaped(value)}\n" for key, value in sorted(properties.items()))


def _providers(spec: ConnectClusterSpec) -> dict[str, str]:
    """Return what reads Secrets: `secrets` gives values as they are, `quoted` as they stand between quotes."""
    stores = rest.providers(spec.rest)
    reads = {"class": SECRETS, "param.source": "io.strimzi.kafka.KubernetesSecretConfigProvider"}
    return {
        "config.providers": "secrets,quoted,stores" if stores else "secrets,quoted",
        **stores,
        **{f"config.providers.secrets.{key}": value for key, value in reads.items()},
        **{f"config.providers.quoted.{key}": value for key, value in (reads | {"param.quoted": "true"}).items()},
    }


def _escaped(value: str) -> str:
    """Return `value` as one line of a file of properties, whose escapes are those of JSON: no value ends elsewhere."""
    return json.dumps(value)[1:-1]


def _rights(resource: Resource, name: str, secrets: Sequence[str]) -> tuple[Manifest, Manifest]:
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": sorted(set(secrets)), "verbs": ["get"]}
    role = child(resource, "rbac.authorization.k8s.io/v1", "Role", name, {"rules": [rule] if secrets else []})
    binding = {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": resource.namespace}],
    }
    return role, child(resource, "rbac.authorization.k8s.io/v1", "RoleBinding", name, binding)


def _deployment(
    resource: Resource,
    spec: ConnectClusterSpec,
    kafka: KafkaConnectionSpec,
    document: Manifest,
    settings: Settings,
    started_with: Mapping[str, str],
) -> Manifest:
    name = names.connect_child(resource.name)
    scraped = scrape(METRICS, wanted=settings.scrape_annotations)
    pod = {
        "metadata": {"labels": labels(resource), "annotations": {**started_with, **scraped}},
        "spec": {
            "serviceAccountName": name,
            "automountServiceAccountToken": False,
            "securityContext": pod_security(),
            "terminationGracePeriodSeconds": 30,
            "containers": [_container(resource, spec, kafka, settings)],
            "volumes": [
                rest.volume(contracts.name(document), spec.rest),
                _token(),
                {"name": "tmp", "emptyDir": {}},
            ],
            **spread(resource),
            **pull_secrets(settings.image_pull_secrets),
        },
    }
    body = {
        "replicas": spec.own.replicas or 1,
        "selector": {"matchLabels": selector(resource)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "revisionHistoryLimit": HISTORY,
        "template": pod,
    }
    return child(resource, "apps/v1", "Deployment", name, {"spec": template.laid_over(body, spec.own.template)})


def _token() -> dict[str, Any]:
    """Return the token of the workers' account, as Kubernetes mounts it: here for our container, and for no other."""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    return {"name": "token", "projected": {"sources": sources}}


def _environment(resource: Resource, spec: ConnectClusterSpec, kafka: KafkaConnectionSpec) -> list[dict[str, Any]]:
    """Return what the image starts a worker by: its address, and where alone its Kafka clients may get tokens."""
    found: list[dict[str, Any]] = [
        {"name": "HEADRACE_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        *rest.environment(resource, spec.rest),
    ]
    if kafka.sasl and kafka.sasl.oauth:
        found.append({"name": "HEADRACE_TOKEN_ENDPOINT", "value": kafka.sasl.oauth.token_endpoint})
    return found


def _container(
    resource: Resource, spec: ConnectClusterSpec, kafka: KafkaConnectionSpec, settings: Settings
) -> dict[str, Any]:
    return {
        "name": "connect",
        "image": spec.own.image or settings.connect_image,
        **pull_policy(settings.image_pull_policy),
        "ports": [{"name": "rest", "containerPort": rest.PORT}, {"name": "metrics", "containerPort": METRICS}],
        "env": _environment(resource, spec, kafka),
        "resources": _resources(spec),
        "securityContext": container_security(),
        **rest.probes(resource, spec.rest),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/headrace/connect", "readOnly": True},
            {"name": "token", "mountPath": TOKEN, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _resources(spec: ConnectClusterSpec) -> dict[str, Any]:
    wanted = spec.own.resources
    requests, limits = {"cpu": "250m", "memory": "768Mi"}, {"memory": "1Gi"}
    if wanted and wanted.requests:
        requests |= wanted.requests.model_dump(exclude_none=True)
    if wanted and wanted.limits:
        limits |= wanted.limits.model_dump(exclude_none=True)
    return {"requests": requests, "limits": limits}


def _service(resource: Resource, name: str) -> Manifest:
    ports = [{"name": "rest", "port": rest.PORT, "targetPort": "rest"}]
    return child(resource, "v1", "Service", name, {"spec": {"selector": selector(resource), "ports": ports}})


def _network_policy(resource: Resource, name: str, settings: Settings) -> Manifest:
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "headrace"}},
    }
    workers = {"podSelector": {"matchLabels": selector(resource)}}
    spec = {
        "podSelector": {"matchLabels": selector(resource)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [operator, workers], "ports": [{"port": rest.PORT, "protocol": "TCP"}]},
            {"ports": [{"port": METRICS, "protocol": "TCP"}]},
        ],
    }
    return child(resource, "networking.k8s.io/v1", "NetworkPolicy", name, {"spec": spec})
