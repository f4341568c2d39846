"""What the operator's surroundings tell it: the environment is read here, once, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How this process runs; images are defaults of the release."""

    namespace: str
    watch_namespaces: tuple[str, ...]
    identity: str
    connect_image: str
    runtime_image: str
    image_pull_secrets: tuple[str, ...] = ()
    log_level: str = "INFO"
    health_port: int = 8080
    metrics_port: int = 8081
    kubeconfig: str | None = None


OUTSIDE = {
    "HEADRACE_NAMESPACE": "headrace-system",
    "HEADRACE_CONNECT_IMAGE": "headrace-connect",
    "HEADRACE_RUNTIME_IMAGE": "headrace-runtime",
}
"""What stands in, outside the operator's pod, for what the chart sets there."""


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings from ``environment``; raises ``KeyError`` naming a missing variable."""
    namespace = environment["HEADRACE_NAMESPACE"]
    return Settings(
        namespace=namespace,
        watch_namespaces=_words(environment.get("HEADRACE_WATCH_NAMESPACES", "")) or (namespace,),
        identity=environment.get("HOSTNAME") or f"headrace-operator-{uuid4()}",
        connect_image=environment["HEADRACE_CONNECT_IMAGE"],
        runtime_image=environment["HEADRACE_RUNTIME_IMAGE"],
        image_pull_secrets=_words(environment.get("HEADRACE_IMAGE_PULL_SECRETS", "")),
        log_level=environment.get("HEADRACE_LOG_LEVEL", "INFO"),
        health_port=int(environment.get("HEADRACE_HEALTH_PORT", "8080")),
        metrics_port=int(environment.get("HEADRACE_METRICS_PORT", "8081")),
        kubeconfig=environment.get("KUBECONFIG"),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
