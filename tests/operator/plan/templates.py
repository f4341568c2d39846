"""A template in which every field of the allow-list is set, and what becomes of it with one of them taken out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from headrace_operator.api.template import ConsumerTemplate, Template, WorkersTemplate
from tests.operator import worlds

Json = dict[str, Any]
Path = tuple[str | int, ...]

ITEMS = [{"key": "a", "path": "b/c", "mode": 288}]
FIELD_FILE = {"path": "labels", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 256}
ENV: list[Json] = [
    {"name": "LEVEL", "value": "debug"},
    {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "shop-db", "key": "password", "optional": True}}},
    {"name": "REGION", "valueFrom": {"configMapKeyRef": {"name": "shop", "key": "region", "optional": False}}},
    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
]
ENV_FROM: list[Json] = [
    {"prefix": "SHOP_", "secretRef": {"name": "shop-api", "optional": True}},
    {"configMapRef": {"name": "shop", "optional": True}},
]
RESOURCES: Json = {
    "requests": {"cpu": "0.3", "memory": "256Mi"},
    "limits": {"cpu": "1500m", "memory": "2048Mi"},
}
VOLUMES: list[Json] = [
    {"name": "login", "secret": {"secretName": "shop-db", "items": ITEMS, "defaultMode": 256, "optional": True}},
    {"name": "rules", "configMap": {"name": "rules", "items": ITEMS, "defaultMode": 292, "optional": True}},
    {
        "name": "all",
        "projected": {
            "sources": [
                {"secret": {"name": "shop-db", "items": ITEMS, "optional": True}},
                {"configMap": {"name": "rules", "items": [{**ITEMS[0], "path": "d"}], "optional": True}},
                {"downwardAPI": {"items": [FIELD_FILE]}},
            ],
            "defaultMode": 288,
        },
    },
    {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"}},
    {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
    {
        "name": "spool",
        "ephemeral": {
            "volumeClaimTemplate": {
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "2048Mi"}},
                    "storageClassName": "fast",
                }
            }
        },
    },
    {
        "name": "vault",
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "volumeAttributes": {"secretProviderClass": "shop"},
            "nodePublishSecretRef": {"name": "vault"},
        },
    },
]
MOUNTS: list[Json] = [
    {"name": "login", "mountPath": "/mnt/login", "readOnly": True},
    {"name": "scratch", "mountPath": "/home/app/.cache", "subPath": "cache"},
]
EXPRESSION = {"key": "example.com/disk", "operator": "In", "values": ["fast", "faster"]}
SELECTOR = {"matchLabels": {"app": "db"}, "matchExpressions": [EXPRESSION]}
NODES = {"matchExpressions": [EXPRESSION], "matchFields": [{**EXPRESSION, "key": "metadata.name", "values": ["a"]}]}
PODS = {
    "topologyKey": "topology.kubernetes.io/zone",
    "labelSelector": SELECTOR,
    "namespaces": ["shop", "stock"],
    "namespaceSelector": SELECTOR,
}
NEAR = {
    "requiredDuringSchedulingIgnoredDuringExecution": [PODS],
    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 7, "podAffinityTerm": PODS}],
}
FULL: Json = {
    "labels": {"team": "billing"},
    "annotations": {"vault.example.com/inject": "true"},
    "env": ENV,
    "envFrom": ENV_FROM,
    "volumes": VOLUMES,
    "mounts": MOUNTS,
    "resources": RESOURCES,
    "initContainers": [
        {
            "name": "migrate",
            "image": "shop/migrate:1",
            "command": ["migrate"],
            "args": ["--all"],
            "restartPolicy": "Always",
            "env": ENV,
            "envFrom": ENV_FROM,
            "mounts": MOUNTS,
            "resources": RESOURCES,
        }
    ],
    "nodeSelector": {"disk": "fast"},
    "tolerations": [
        {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 60},
        {"operator": "Exists"},
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODES]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference": NODES}],
        },
        "podAffinity": NEAR,
        "podAntiAffinity": NEAR,
    },
    "topologySpread": [
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "maxSkew": 2,
            "minDomains": 3,
            "nodeAffinityPolicy": "Ignore",
            "nodeTaintsPolicy": "Honor",
        }
    ],
    "priorityClassName": "shop-high",
    "runtimeClassName": "sandboxed",
    "imagePullSecrets": [{"name": "registry"}],
    "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["old-db", "older-db"]}],
    "startup": "20m",
    "terminationGracePeriodSeconds": 120,
}
OF_WORKERS: Json = {**FULL, "jvmOptions": ["-Xmx2g", "-XX:+UseG1GC", "-Duser.timezone=UTC"]}
OF_CONSUMER: Json = {**FULL, "serviceAccountName": "shop-billing"}


def paths(node: Any, at: Path = ()) -> Iterator[Path]:
    """Yield where each field and each item of `node` is."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*at, key)
        yield from paths(value, (*at, key))


def without(node: Json, path: Path) -> Json:
    """Return a copy of `node` without what is at `path`."""
    found: Any
    found = whole = copy.deepcopy(node)
    for key in path[:-1]:
        found = found[key]
    del found[path[-1]]
    return whole


def lessened(kind: str) -> Iterator[tuple[Path, Json]]:
    """Yield the full template of a kind without each part that it may be without, and what that is."""
    for at in paths(FULL_OF[kind]):
        less = without(FULL_OF[kind], at)
        try:
            MODELS[kind].model_validate(less)
        except ValidationError:
            continue
        yield at, less


def changed(node: Json, path: Path, value: Any) -> Json:
    """Return a copy of `node` with `value` at `path`."""
    found: Any
    found = whole = copy.deepcopy(node)
    for key in path[:-1]:
        found = found[key]
    found[path[-1]] = value
    return whole


TWO_OF_THEM = {"name": "A", "value": "x", "valueFrom": ENV[3]["valueFrom"]}
TOKEN = {"name": "mine", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
REFUSED: tuple[tuple[Path, Any, str], ...] = (
    (("labels",), {"headrace.dev/consumer": "other"}, "not yours to give"),
    (("labels",), {"app.kubernetes.io/instance": "other"}, "not yours to give"),
    (("labels",), {"sub.headrace.dev/x": "y"}, "not yours to give"),
    (("labels",), {"a b": "c"}, "letters, digits, dots, hyphens"),
    (("nodeSelector",), {"a/b/c": "d"}, "letters, digits, dots, hyphens"),
    (("annotations",), {"headrace.dev/config-hash": "x"}, "not yours to give"),
    (("annotations",), {"container.apparmor.security.beta.kubernetes.io/consumer": "unconfined"}, "not yours to give"),
    (("env", 0), {"name": "HEADRACE_CONFIG", "value": "/mnt/login/c"}, "give this one another name"),
    (("env", 0), TWO_OF_THEM, "write exactly one of value and valueFrom"),
    (("env", 0), {"name": "A"}, "write exactly one of value and valueFrom"),
    (("env", 0), {"name": "DB_PASSWORD", "value": "s3cret"}, "a password would stand here in plain text"),
    (("env", 0), {"name": "DB_URL", "value": "postgres://shop:s3cret@db/shop"}, "a password would stand here"),
    (("env", 3, "valueFrom"), {}, "write exactly one of secretKeyRef, configMapKeyRef and fieldRef"),
    (("env", 0, "name"), "NODE", "NODE"),
    (("envFrom", 0), {"prefix": "A_"}, "write exactly one of secretRef and configMapRef"),
    (("volumes", 3, "name"), "kafka", "are made by Headrace"),
    (("volumes", 3), {"name": "two", **VOLUMES[0], **VOLUMES[1]}, "write exactly one of secret, configMap"),
    (("volumes", 3), {"name": "host", "hostPath": {"path": "/"}}, "hostPath"),
    (("volumes", 3), TOKEN, "serviceAccountToken"),
    (("mounts", 0, "mountPath"), "/etc/headrace/kafka", "mount it elsewhere"),
    (("mounts", 0, "mountPath"), "/var/run/secrets/kubernetes.io/serviceaccount", "mount it elsewhere"),
    (("mounts", 0, "mountPath"), "/tmp", "mount it elsewhere"),
    (("mounts", 0, "mountPath"), "/mnt/../etc/headrace", "mountPath"),
    (("mounts", 0, "name"), "other", "a mount names a volume of this template"),
    (("mounts", 0, "name"), "kafka", "a mount names a volume of this template"),
    (("initContainers", 0, "mounts", 0, "name"), "other", "a mount names a volume of this template"),
    (("initContainers", 0, "mounts", 0, "mountPath"), "/opt/headrace/bin", "mount it elsewhere"),
    (("initContainers", 0, "name"), "consumer", "are made by Headrace"),
    (("initContainers", 0, "image"), "me:s3cret@registry.example/a:1", "a login would stand here"),
    (("initContainers", 0, "securityContext"), {"privileged": True}, "securityContext"),
    (("initContainers", 0, "env", 0, "name"), "HEADRACE_X", "give this one another name"),
    (("tolerations", 0), {"key": "a", "operator": "Exists", "value": "b"}, "there is no value"),
    (("tolerations", 0), {"value": "b"}, "without a key the operator is Exists"),
    (("tolerations", 0), {"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}, "NoExecute alone"),
    (("topologySpread", 0, "whenUnsatisfiable"), "ScheduleAnyway", "minDomains is for DoNotSchedule alone"),
    (("serviceAccountName",), "main-connect", "name one of your own"),
    (("serviceAccountName",), "other-consumer", "name one of your own"),
    (("serviceAccountName",), "headrace-operator", "name one of your own"),
    (("startup",), "25h", "a length of time is from"),
    (("terminationGracePeriodSeconds",), 5, "terminationGracePeriodSeconds"),
    (("hostNetwork",), True, "hostNetwork"),
    (("securityContext",), {"runAsUser": 0}, "securityContext"),
    (("containers",), [{"name": "x", "image": "y"}], "containers"),
    (("automountServiceAccountToken",), True, "automountServiceAccountToken"),
)
"""Where something stands that is refused, what, and what is told of it."""

_REQUIRED, _PREFERRED = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))
_NODES: tuple[Path, ...] = (
    ("nodeAffinity", _REQUIRED, "nodeSelectorTerms", 0),
    ("nodeAffinity", _PREFERRED, 0, "preference"),
)
_PODS: tuple[Path, ...] = tuple(
    (affinity, *at)
    for affinity in ("podAffinity", "podAntiAffinity")
    for at in ((_REQUIRED, 0), (_PREFERRED, 0, "podAffinityTerm"))
)
_REQUIREMENTS: tuple[Path, ...] = (
    *(("affinity", *at, of, 0) for at in _NODES for of in ("matchExpressions", "matchFields")),
    *(("affinity", *at, of, "matchExpressions", 0) for at in _PODS for of in ("labelSelector", "namespaceSelector")),
)


def _rule_path(path: Path) -> str:
    return "".join("[]" if isinstance(key, int) else f".{key}" for key in path)


_INIT: Path = ("initContainers", 0)
_OF_CONTAINER: tuple[tuple[str, int, Path, Any], ...] = (
    (".env[]", 0, ("env", 0), TWO_OF_THEM),
    (".env[]", 1, ("env", 0), {"name": "API_KEY", "value": "s3cret"}),
    (".env[].name", 0, ("env", 0, "name"), "HEADRACE_PORT"),
    (".env[].valueFrom", 0, ("env", 3, "valueFrom"), {}),
    (".envFrom[]", 0, ("envFrom", 0), {"prefix": "A_"}),
    (".mounts[].mountPath", 0, ("mounts", 0, "mountPath"), "/etc/headrace/redis"),
    (".resources", 0, ("resources",), {"requests": {"cpu": "2"}, "limits": {"cpu": "1000m"}}),
    (".resources", 1, ("resources",), {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
)
RULES: tuple[tuple[str, int, Path, Any], ...] = (
    ("", 0, ("mounts", 0, "name"), "other"),
    ("", 1, ("initContainers", 0, "mounts", 0, "name"), "other"),
    (".labels", 0, ("labels",), {"a b": "c"}),
    (".labels", 1, ("labels",), {"headrace.dev/consumer": "other"}),
    (".annotations", 0, ("annotations",), {"a b": "c"}),
    (".annotations", 1, ("annotations",), {"app.kubernetes.io/name": "other"}),
    (".nodeSelector", 0, ("nodeSelector",), {"a/b/c": "d"}),
    (".volumes[]", 0, ("volumes", 3), {"name": "scratch"}),
    (".volumes[].name", 0, ("volumes", 3, "name"), "tmp"),
    (".volumes[].projected.sources[]", 0, ("volumes", 2, "projected", "sources", 0), {}),
    (".initContainers[].name", 0, (*_INIT, "name"), "connect"),
    (".initContainers[].image", 0, (*_INIT, "image"), "me:s3cret@registry.example/a:1"),
    (".tolerations[]", 0, ("tolerations", 1), {"operator": "Exists", "value": "a"}),
    (".tolerations[]", 1, ("tolerations", 1), {"effect": "NoExecute"}),
    (".tolerations[]", 2, ("tolerations", 1), {"key": "a", "tolerationSeconds": 5}),
    (".topologySpread[]", 0, ("topologySpread", 0, "whenUnsatisfiable"), "ScheduleAnyway"),
    (".startup", 0, ("startup",), "25h"),
    *((_rule_path(at), 0, (*at, "operator"), "Exists") for at in _REQUIREMENTS),
    *_OF_CONTAINER,
    *((f".initContainers[]{rule}", index, (*_INIT, *at), value) for rule, index, at, value in _OF_CONTAINER),
)
"""Each rule of a template, by where it stands and its number, with what it refuses: where that is, and what."""

RULES_OF_CONSUMER = (*RULES, (".serviceAccountName", 0, ("serviceAccountName",), "billing-consumer"))

RULES_OF_WORKERS = (
    *RULES,
    (".jvmOptions[]", 0, ("jvmOptions", 0), "-XX:-ExitOnOutOfMemoryError"),
    (".jvmOptions[]", 1, ("jvmOptions", 0), "-Djavax.net.ssl.trustStorePassword=s3cret"),
    (".jvmOptions[]", 2, ("jvmOptions", 0), "-Dcom.sun.management.jmxremote.port=9010"),
)
REFUSED_OF_WORKERS: tuple[tuple[Path, Any, str], ...] = (
    *(one for one in REFUSED if one[0] != ("serviceAccountName",)),
    (("serviceAccountName",), "mine", "serviceAccountName"),
    (("env", 0), {"name": "JAVA_OPTS", "value": "-Xmx2g"}, "give this one another name"),
    (("jvmOptions", 0), "-XX:OnOutOfMemoryError=/mnt/x", "are set by Headrace"),
    (("jvmOptions", 0), "-javaagent:/mnt/x.jar", "jvmOptions"),
    (("jvmOptions", 0), "-Xmx2g -Xms1g", "jvmOptions"),
    (("jvmOptions", 0), "-Dx.password=s3cret", "a password would stand here in plain text"),
)

FULL_OF: dict[str, Json] = {"Consumer": OF_CONSUMER, "ConnectCluster": OF_WORKERS, "OutboxRelay": FULL}
MODELS: dict[str, type[Template]] = {
    "Consumer": ConsumerTemplate,
    "ConnectCluster": WorkersTemplate,
    "OutboxRelay": Template,
}
REFUSED_OF = tuple(
    (kind, *one) for kind, refused in (("Consumer", REFUSED), ("ConnectCluster", REFUSED_OF_WORKERS)) for one in refused
)


def spec(kind: str, template: Json | None) -> Json:
    """Return the spec of a resource of that kind with this template."""
    given = {} if template is None else {"template": template}
    whole = {"Consumer": worlds.CONSUMER.spec, "OutboxRelay": worlds.OUTBOX_RELAY.spec}
    return {**whole[kind], **given} if kind in whole else {"kafka": "kafka", "workers": given}
