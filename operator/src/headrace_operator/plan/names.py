"""Names that follow from a resource's namespace and name, on Kubernetes, on Connect and in the source database.

A *place* is a namespace, with the Kubernetes cluster's name before it where there is one.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 63


def consumer_child(name: str) -> str:
    """Return the name of every object made for a Consumer; a hash comes behind it in that of its contract."""
    return f"{name}-consumer"


def relay_child(name: str) -> str:
    """Return the name of every object made for an OutboxRelay; a hash comes behind it in that of its contract."""
    return f"{name}-relay"


def connect_child(name: str) -> str:
    """Return the name of every object made for a ConnectCluster; a hash comes behind it in that of its contract."""
    return f"{name}-connect"


def agent_child(name: str) -> str:
    """Return the name of every object made for the source agent of a ConnectCluster."""
    return f"{name}-agent"


def agent_url(namespace: str, name: str) -> str:
    """Return the address of the source agent of a ConnectCluster."""
    return f"http://{agent_child(name)}.{namespace}.svc:8080"


def connect_domain(namespace: str, name: str) -> str:
    """Return the host of a ConnectCluster's workers; each of them has a name below it."""
    return f"{connect_child(name)}.{namespace}.svc"


def connect_worker(namespace: str, name: str, ip: str) -> str:
    """Return the name of the worker at an address, as the cluster's DNS gives one to each pod of a Service."""
    return f"{ip.replace('.', '-').replace(':', '-')}.{connect_domain(namespace, name)}"


def connect_url(namespace: str, name: str, *, tls: bool = False) -> str:
    """Return the REST address of a ConnectCluster's workers."""
    return f"http{'s' if tls else ''}://{connect_domain(namespace, name)}:8083"


def external_connect(namespace: str, name: str) -> str:
    """Return what a ConnectCluster that others run is called where others are by their address: it leads nowhere."""
    return f"external://{name}.{namespace}"


def outbox_prefix(place: str, name: str) -> str:
    """Return what the topics of an outbox begin with, before the route, as those of a Connector of this name do."""
    return f"{connector(place, name)}.outbox."


def connect_group(place: str, name: str) -> str:
    """Return the group id of a ConnectCluster; its internal topics begin with it."""
    return f"connect.{place}.{name}"


def connector(place: str, name: str) -> str:
    """Return the name of a Connector in Kafka Connect; it is the default topic prefix, too."""
    return f"{place}.{name}"


def slot(place: str, name: str) -> str:
    """Return the replication slot of a Connector: letters, digits and underscores, at most 63, distinct by a hash."""
    plain = re.sub(r"[^a-z0-9_]", "_", f"headrace_{place}_{name}")
    if len(plain) <= LONGEST and "." not in place and re.search("[-_]", place + name) is None:
        return plain
    digest = hashlib.sha256(f"{place}/{name}".encode()).hexdigest()[:8]
    return f"{plain[: LONGEST - 9]}_{digest}"
