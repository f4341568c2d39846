"""What must be read before a plan can be made: pure answers that observers ask for.

Each takes a spec as JSON and tolerates one that is not valid; it then names what it can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kafka_secrets(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the Secrets a KafkaConnection's spec refers to."""
    sasl = (spec.get("sasl") or {}).get("credentials") or {}
    authority = (spec.get("tls") or {}).get("ca") or {}
    return tuple(dict.fromkeys(name for part in (sasl, authority) if (name := part.get("secret"))))


def connector_secrets(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the Secrets a Connector's spec refers to."""
    name = ((spec.get("postgres") or {}).get("credentials") or {}).get("secret")
    return (name,) if name else ()


def code_config_map(spec: Mapping[str, Any]) -> str | None:
    """Return the name of the ConfigMap with a Consumer's Python code."""
    python = (spec.get("handler") or {}).get("python") or {}
    name = (python.get("source") or {}).get("configMap")
    return str(name) if name else None
