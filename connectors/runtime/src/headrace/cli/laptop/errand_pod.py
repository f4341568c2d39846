"""The short-lived Pod that does an errand in the place of a consumer pod. Pure: a Deployment in, a manifest out.

It takes from the Consumer's own Deployment what gives access to Kafka (image, configuration, Secrets, account,
placement) and nothing else: the fields of ``Template`` and ``Container`` are the allow-list. It must not talk to a
cluster, and no label of its own may make it look like a replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Json = dict[str, Any]

CONTAINER = "consumer"
LABEL = "headrace.dev/cli"
REQUESTS = {"cpu": "1m", "memory": "16Mi"}
"""Next to nothing, so that it runs where no replica would find room; its limits stay, which a quota may ask for."""
PLACES = ("/etc/headrace/", "/tmp/")
"""Where Headrace mounts what access to Kafka takes; a volume of the user's may be one that a single node can have."""

NAME = 63
"""Characters of the longest name that is also that of the pod's host."""

LIFETIME = 3600
"""Seconds after which the kubelet ends an errand whose command line is gone."""


class Part(BaseModel):
    """A part of a Kubernetes object of which only the named fields are taken."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Container(Part):
    """What is taken over from the consumer's container."""

    name: str
    image: str
    image_pull_policy: str | None = None
    env: list[Json] | None = None
    env_from: list[Json] | None = None
    volume_mounts: list[Json] | None = None
    resources: Json | None = None
    security_context: Json | None = None


class Template(Part):
    """What is taken over from the pod template."""

    containers: list[Container]
    service_account_name: str | None = None
    image_pull_secrets: list[Json] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: list[Json] | None = None
    volumes: list[Json] | None = None
    security_context: Json | None = None
    runtime_class_name: str | None = None
    host_aliases: list[Json] | None = None
    dns_config: Json | None = None
    dns_policy: str | None = None


def manifest(deployment: Json, consumer: str, command: Sequence[str], unique: str) -> Json:
    """Return the Pod that runs ``command`` with the access of ``consumer``, whose Deployment is ``deployment``.

    Its name ends with ``unique``: chosen here, it is known even when the answer to the creation is lost.
    Raises ``ValueError`` when the Deployment has no container of a Consumer.
    """
    template = Template.model_validate(deployment["spec"]["template"]["spec"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{consumer}-cli-"[: NAME - len(unique)] + unique,
            "namespace": deployment["metadata"]["namespace"],
            "labels": {
                "app.kubernetes.io/name": "headrace-cli",
                "app.kubernetes.io/managed-by": "headrace-cli",
                LABEL: consumer,
            },
            "ownerReferences": [_owner(deployment)],
        },
        "spec": _spec(template, command),
    }


def _spec(template: Template, command: Sequence[str]) -> Json:
    container = _container(template, command)
    mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
    return {
        **template.model_dump(by_alias=True, exclude_none=True, exclude={"containers", "volumes"}),
        "volumes": [volume for volume in template.volumes or () if volume["name"] in mounted],
        "containers": [container],
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFETIME,
        "terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **(template.security_context or {}),
        },
    }


def _container(template: Template, command: Sequence[str]) -> Json:
    for container in template.containers:
        if container.name == CONTAINER:
            break
    else:
        raise ValueError(f"it has no container named {CONTAINER}")
    return {
        **container.model_dump(by_alias=True, exclude_none=True),
        "volumeMounts": [one for one in container.volume_mounts or () if f"{one['mountPath']}/".startswith(PLACES)],
        "command": list(command),
        "resources": _resources(container.resources or {}),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "readOnlyRootFilesystem": True,
            **(container.security_context or {}),
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _resources(replica: Json) -> Json:
    """Ask for next to nothing, up to a replica's limits; a limit of anything else would be asked for as well."""
    limits = {name: most for name, most in (replica.get("limits") or {}).items() if name in REQUESTS}
    return {"requests": REQUESTS, **({"limits": limits} if limits else {})}


def _owner(deployment: Json) -> Json:
    """The Consumer, so that the pod goes with it; the Deployment itself where nobody owns that."""
    owners = deployment["metadata"].get("ownerReferences") or []
    for owner in owners:
        if owner["kind"] == "Consumer":
            return {name: owner[name] for name in ("apiVersion", "kind", "name", "uid")}
    metadata = deployment["metadata"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
