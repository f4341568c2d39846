"""JSON requests to the Kubernetes API server: each with a deadline, each failure told in the operator's own terms.

It must not know what any object means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from headrace_operator.clients import errors
from headrace_operator.clients.measured import measured
from headrace_operator.observed.kube import Manifest

DEADLINE = 8.0
"""Seconds that one request may take."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

PLURALS = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Event"): "events",
    ("v1", "Pod"): "pods",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("apps/v1", "Deployment"): "deployments",
    ("coordination.k8s.io/v1", "Lease"): "leases",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    ("headrace.dev/v1alpha1", "KafkaConnection"): "kafkaconnections",
    ("headrace.dev/v1alpha1", "ConnectCluster"): "connectclusters",
    ("headrace.dev/v1alpha1", "Connector"): "connectors",
    ("headrace.dev/v1alpha1", "Consumer"): "consumers",
}


def path(api_version: str, kind: str, namespace: str, name: str = "", part: str = "") -> str:
    """Return the address of an object, of its ``part``, or without ``name`` of all of a kind in ``namespace``."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    parts = (root, "namespaces", namespace, PLURALS[(api_version, kind)], name, part)
    return "/".join(one for one in parts if one)


async def connection(kubeconfig: str | None) -> Any:
    """Return the client's configuration: ``kubeconfig``, else the pod's own account, whose token is read again."""
    made = client.Configuration()
    if kubeconfig is None and _in_a_pod():
        config.load_incluster_config(client_configuration=made)
    else:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=made)
    return made


def _in_a_pod() -> bool:
    return TOKEN.exists()


class Api:
    """Requests to one API server."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self._client = client.ApiClient(configuration)

    @property
    def ssl(self) -> Any:
        """Return the TLS context that verifies the server and holds the client's certificate."""
        return self._client.rest_client.ssl_context

    async def authorization(self) -> str | None:
        """Return the value of the Authorization header, as it is valid now."""
        token: str | None = await self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return token

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, where: str, **query: str) -> Manifest | None:
        """Return the object or list at ``where``; None when the server says that it does not exist."""
        try:
            return await self.send("GET", where, query=query)
        except errors.Missing:
            return None

    @measured("kubernetes")
    async def send(
        self, method: str, where: str, *, query: Mapping[str, str] | None = None, body: Any = None, form: str = JSON
    ) -> Manifest:
        """Send one request and return the answer; raises `HeadraceError`."""
        headers = {"Accept": JSON, "Content-Type": form}
        try:
            ready = await self._client.param_serialize(
                method, where, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = await self._client.call_api(*ready, _request_timeout=DEADLINE)
            text = await response.read()
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            what = f"{method} {where}: the Kubernetes API server did not answer within {DEADLINE:.0f} s: {error!r}"
            raise errors.Unreachable(what) from error
        if response.status >= 300:
            raise _failure(f"{method} {where}", response.status, text)
        answer: Manifest = json.loads(text)
        return answer


def _failure(what: str, status: int, text: bytes) -> errors.HeadraceError:
    try:
        said = str(json.loads(text).get("message", ""))
    except ValueError:
        said = text.decode(errors="replace")[:300]
    sentence = f"{what}: the Kubernetes API server answered {status}: {said}"
    kinds: dict[int, type[errors.HeadraceError]] = {
        401: errors.Unauthorized,
        403: errors.Unauthorized,
        404: errors.Missing,
        409: errors.Conflict,
        429: errors.Busy,
    }
    return kinds.get(status, errors.Invalid if status < 500 else errors.Unreachable)(sentence)
