"""What must be read before a plan can be made: pure answers that observers ask for.

Those that take a spec as JSON tolerate one that is not valid, and then name what they can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace_operator.api.kafkaconnection import KafkaConnectionSpec


def kafka_secrets(spec: KafkaConnectionSpec) -> tuple[str, ...]:
    """Return the names of the Secrets a KafkaConnection's spec refers to."""
    login = (spec.sasl.credentials.secret,) if spec.sasl else ()
    authority = (spec.tls.ca.secret,) if spec.tls and spec.tls.ca else ()
    return tuple(dict.fromkeys((*login, *authority)))


def connector_secrets(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the Secrets a Connector's spec refers to."""
    name = ((spec.get("postgres") or {}).get("credentials") or {}).get("secret")
    return (name,) if name else ()


def code_config_map(spec: Mapping[str, Any]) -> str | None:
    """Return the name of the ConfigMap with a Consumer's Python code."""
    python = (spec.get("handler") or {}).get("python") or {}
    name = (python.get("source") or {}).get("configMap")
    return str(name) if name else None
