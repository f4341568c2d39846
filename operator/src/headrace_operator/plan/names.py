"""Names that follow from a resource's namespace and name, on Kubernetes, on Connect and in the source database."""

from __future__ import annotations

import hashlib
import re

LONGEST = 63


def consumer_child(name: str) -> str:
    """Return the name of every object made for a Consumer; a hash comes behind it in that of its contract."""
    return f"{name}-consumer"


def connect_child(name: str) -> str:
    """Return the name of every object made for a ConnectCluster; a hash comes behind it in that of its contract."""
    return f"{name}-connect"


def connect_url(namespace: str, name: str) -> str:
    """Return the REST address of a ConnectCluster's workers."""
    return f"http://{connect_child(name)}.{namespace}.svc:8083"


def connect_group(namespace: str, name: str) -> str:
    """Return the group id of a ConnectCluster; its internal topics begin with it."""
    return f"connect.{namespace}.{name}"


def connector(namespace: str, name: str) -> str:
    """Return the name of a Connector in Kafka Connect; it is the default topic prefix, too."""
    return f"{namespace}.{name}"


def slot(namespace: str, name: str) -> str:
    """Return the replication slot of a Connector: letters, digits and underscores, at most 63, distinct by a hash."""
    plain = re.sub(r"[^a-z0-9_]", "_", f"headrace_{namespace}_{name}")
    if len(plain) <= LONGEST and "_" not in namespace + name and "-" not in namespace + name:
        return plain
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:8]
    return f"{plain[: LONGEST - 9]}_{digest}"
