"""What the operator's surroundings tell it: the environment is read here, once, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

EVERYWHERE = ("",)
"""All namespaces, of which the API server's addresses name none."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How this process runs; images are defaults of the release."""

    namespace: str
    watch_namespaces: tuple[str, ...]
    identity: str
    connect_image: str
    runtime_image: str
    agent_image: str | None = None
    cluster_name: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    image_pull_policy: str | None = None
    scrape_annotations: bool = True
    log_level: str = "INFO"
    health_port: int = 8080
    metrics_port: int = 8081
    kubeconfig: str | None = None

    @property
    def watches_all(self) -> bool:
        """Whether every namespace is watched, also those that come later."""
        return self.watch_namespaces == EVERYWHERE


CLUSTER_NAME, LONGEST_CLUSTER_NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?", 30
RESERVED = ("connect", "dlq", "retry")
"""How names on Kafka begin that are no Connector's."""

OUTSIDE = {
    "HEADRACE_NAMESPACE": "headrace-system",
    "HEADRACE_CONNECT_IMAGE": "headrace-connect",
    "HEADRACE_RUNTIME_IMAGE": "headrace-runtime",
    "HEADRACE_AGENT_IMAGE": "headrace-agent",
}
"""What stands in, outside the operator's pod, for what the chart sets there."""


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises ``KeyError`` naming a missing variable, and ``ValueError`` saying what is wrong."""
    namespace = environment["HEADRACE_NAMESPACE"]
    return Settings(
        namespace=namespace,
        watch_namespaces=_watched(environment.get("HEADRACE_WATCH_NAMESPACES", "")) or (namespace,),
        identity=environment.get("HOSTNAME") or f"headrace-operator-{uuid4()}",
        connect_image=environment["HEADRACE_CONNECT_IMAGE"],
        runtime_image=environment["HEADRACE_RUNTIME_IMAGE"],
        agent_image=environment.get("HEADRACE_AGENT_IMAGE") or None,
        cluster_name=_cluster_name(environment.get("HEADRACE_CLUSTER_NAME", "")),
        image_pull_secrets=_words(environment.get("HEADRACE_IMAGE_PULL_SECRETS", "")),
        image_pull_policy=environment.get("HEADRACE_IMAGE_PULL_POLICY") or None,
        scrape_annotations=environment.get("HEADRACE_SCRAPE_ANNOTATIONS", "true") == "true",
        log_level=environment.get("HEADRACE_LOG_LEVEL", "INFO"),
        health_port=int(environment.get("HEADRACE_HEALTH_PORT", "8080")),
        metrics_port=int(environment.get("HEADRACE_METRICS_PORT", "8081")),
        kubeconfig=environment.get("KUBECONFIG"),
    )


def _cluster_name(text: str) -> str:
    if text and (len(text) > LONGEST_CLUSTER_NAME or re.fullmatch(CLUSTER_NAME, text) is None or text in RESERVED):
        raise ValueError(
            f"HEADRACE_CLUSTER_NAME (clusterName of the chart) is {text!r}: take at most {LONGEST_CLUSTER_NAME} "
            f"letters, digits and hyphens, and none of {', '.join(RESERVED)}."
        )
    return text


def _watched(text: str) -> tuple[str, ...]:
    return EVERYWHERE if text.strip() == "*" else _words(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
