"""How the REST interface of Kafka Connect's workers is protected: their properties, files and probes. Pure.

Source: Apache Kafka documentation, Kafka Connect, `listeners.https.` and `rest.extension.classes` (KIP-208, KIP-285).
Workers forward requests to one another by the names that they tell, so each tells one that its certificate can hold.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from headrace_operator.api import secrets
from headrace_operator.api.connectcluster import ConnectClusterSpec, Rest
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Secrets
from headrace_operator.plan import acceptance, external, names, pod_secrets
from headrace_operator.plan.conditions import Finding

PORT = 8083
CERTIFICATE = ("tls.crt", "tls.key", "ca.crt")
FOLDER = "/etc/headrace/connect/rest"
STORES = "dev.headrace.connect.worker.KeyStoreConfigProvider"
LOGIN = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"
ALIVE, HEALTHY = "/", "/health"
"""Addresses of the REST interface that answer by the worker alone, and only while its Kafka answers."""


def in_force(cluster: Resource) -> Rest | None:
    """Return how the workers of ``cluster`` are protected: by its accepted spec, and before there is one as written."""
    accepted = (cluster.status.get("accepted") or {}).get("spec")
    try:
        said = (accepted or cluster.spec).get("rest")
        return None if said is None else Rest.model_validate(said)
    except ValidationError:
        return None


def url(cluster: Resource) -> str:
    """Return the REST address of the workers of ``cluster``; of those that others run what they are called."""
    if external.is_meant(cluster):
        return names.external_connect(cluster.namespace, cluster.name)
    return names.connect_url(cluster.namespace, cluster.name, tls=in_force(cluster) is not None)


def host(cluster: Resource, ip: str) -> str:
    """Return how the worker of ``cluster`` at this address calls itself."""
    return names.connect_worker(cluster.namespace, cluster.name, ip) if in_force(cluster) else ip


def worker(cluster: Resource, ip: str) -> str:
    """Return the REST address of the one worker of ``cluster`` whose pod has this address."""
    name, scheme = host(cluster, ip), "http" if in_force(cluster) is None else "https"
    return f"{scheme}://[{name}]:{PORT}" if ":" in name else f"{scheme}://{name}:{PORT}"


def keys(rest: Rest | None) -> tuple[tuple[str, str], ...]:
    """Return the Secrets that ``rest`` names, each with a key that it must have."""
    if rest is None:
        return ()
    login = rest.auth and rest.auth.credentials
    asked = tuple((login.secret, key) for key in login.keys) if login else ()
    return (*((rest.tls.secret, key) for key in CERTIFICATE), *asked)


def only_to_hosts(resource: Resource, spec: ConnectClusterSpec, seen: Secrets) -> Finding | None:
    """Say which Secret of ``rest`` or ``external`` may not be sent to the workers' address."""
    own = f"{names.connect_domain(resource.namespace, resource.name)}:{PORT}"
    address, entered = (spec.external.address, spec.external) if spec.external else (own, spec.rest)
    named = secrets.named(entered.model_dump(by_alias=True, exclude_none=True)) if entered else ()
    return acceptance.only_to_hosts(dict.fromkeys(named), seen, [address])


def unseen(rest: Rest | None, seen: Secrets) -> Finding | None:
    """Say which Secret was not seen, or lacks a key: where it may go is known before pods are given it."""
    return pod_secrets.unseen(keys(rest), seen, "add it")


def properties(rest: Rest | None) -> dict[str, str]:
    """Return how workers serve their REST interface, and how they speak with each other's."""
    if rest is None:
        return {"listeners": f"HTTP://:{PORT}"}
    login = {"rest.extension.classes": LOGIN} if rest.auth else {}
    return {"listeners": f"HTTPS://:{PORT}", **_stores(), **login}


def providers(rest: Rest | None) -> dict[str, str]:
    """Return the provider that makes key stores of a mounted certificate."""
    return {"config.providers.stores.class": STORES} if rest else {}


def environment(resource: Resource, rest: Rest | None) -> list[dict[str, Any]]:
    """Return the variable by which a worker tells a name, instead of the address, of itself."""
    domain = names.connect_domain(resource.namespace, resource.name)
    return [{"name": "HEADRACE_REST_DOMAIN", "value": domain}] if rest else []


def volume(name: str, rest: Rest | None) -> dict[str, Any]:
    """Return the volume of a worker's files: its properties, and below ``rest`` what its interface is protected by."""
    if rest is None:
        return {"name": "config", "configMap": {"name": name}}
    return {"name": "config", "projected": {"sources": [{"configMap": {"name": name}}, *_secrets(rest)]}}


def probes(resource: Resource, rest: Rest | None) -> dict[str, Any]:
    """Return the probes: who is asked for a login cannot be asked how it is, only whether it is there."""
    alive, healthy = (_probe(resource, rest, path) for path in (ALIVE, HEALTHY))
    return {
        "startupProbe": {**alive, "periodSeconds": 2, "failureThreshold": 90},
        "readinessProbe": {**healthy, "periodSeconds": 5},
        "livenessProbe": {**alive, "periodSeconds": 15, "failureThreshold": 4},
    }


def _stores() -> dict[str, str]:
    """Return the key stores of a worker as server and as client, which checks the name that it asked for."""
    password = f"${{stores:{FOLDER}:password}}"
    own = {"ssl.key.password": password, "ssl.endpoint.identification.algorithm": "https"}
    for store in ("keystore", "truststore"):
        own |= {f"ssl.{store}.type": "PKCS12", f"ssl.{store}.password": password}
        own |= {f"ssl.{store}.location": f"${{stores:{FOLDER}:{store}}}"}
    return {f"listeners.https.{name}": value for name, value in own.items()}


def _secrets(rest: Rest) -> list[dict[str, Any]]:
    certificate = [{"key": key, "path": f"rest/{key}"} for key in CERTIFICATE]
    sources = [{"secret": {"name": rest.tls.secret, "items": certificate}}]
    if rest.auth:
        login = rest.auth.credentials
        user, password = login.keys
        items = [{"key": user, "path": "rest/username"}, {"key": password, "path": "rest/password"}]
        sources.append({"secret": {"name": login.secret, "items": items}})
    return sources


def _probe(resource: Resource, rest: Rest | None, path: str) -> dict[str, Any]:
    """Return a probe; over TLS Kafka Connect (Jetty) answers only who asks for a host of its certificate."""
    if rest and rest.auth:
        return {"tcpSocket": {"port": "rest"}, "timeoutSeconds": 5}
    host = {"name": "Host", "value": names.connect_domain(resource.namespace, resource.name)}
    tls = {"scheme": "HTTPS", "httpHeaders": [host]} if rest else {}
    return {"httpGet": {"path": path, "port": "rest", **tls}, "timeoutSeconds": 5}
