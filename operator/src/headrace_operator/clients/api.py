"""JSON requests to the Kubernetes API server: each with a deadline, each failure told in the operator's own terms.

It must not know what any object means.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.rest import RESTClientObject

from headrace_operator.clients import answers, errors, fence
from headrace_operator.clients.connections import Connections
from headrace_operator.clients.measured import measured
from headrace_operator.observed.kube import Manifest

DEADLINE = 8.0
"""Seconds that one request may take."""

LONGEST, MOST = 64 * 2**20, 5_000_000
"""Bytes and commas of an answer: a list of ten thousand resources."""

SERVER = answers.Server(name="the Kubernetes API server", most=MOST)

READ = aiohttp.ClientTimeout(total=DEADLINE)
WRITE = aiohttp.ClientTimeout(total=DEADLINE, connect=fence.SENT)

CONNECTIONS = 64
"""Requests at once, each over a connection: who waits for one does so before the request's own deadline begins."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
PATCH = "application/json-patch+json"
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

PLURALS = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Event"): "events",
    ("v1", "Pod"): "pods",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("coordination.k8s.io/v1", "Lease"): "leases",
    ("networking.k8s.io/v1", "NetworkPolicy"): "networkpolicies",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("rbac.authorization.k8s.io/v1", "Role"): "roles",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    ("headrace.dev/v1alpha1", "KafkaConnection"): "kafkaconnections",
    ("headrace.dev/v1alpha1", "ConnectCluster"): "connectclusters",
    ("headrace.dev/v1alpha1", "Connector"): "connectors",
    ("headrace.dev/v1alpha1", "Consumer"): "consumers",
    ("headrace.dev/v1alpha1", "OutboxRelay"): "outboxrelays",
    ("headrace.dev/v1alpha1", "Snapshot"): "snapshots",
}


@functools.lru_cache(maxsize=2**16)
def path(api_version: str, kind: str, namespace: str, name: str = "", part: str = "") -> str:
    """Return the address of an object, of its ``part``, or without ``name`` of all of a kind in ``namespace``.

    Without ``namespace``, too, it is that of all of a kind.
    """
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    parts = (root, namespace and f"namespaces/{namespace}", PLURALS[(api_version, kind)], name, part)
    return "/".join(one for one in parts if one)


async def connection(kubeconfig: str | None) -> Any:
    """Return the client's configuration: ``kubeconfig``, else the pod's own account, whose token is read again.

    Raises `Invalid` when there is neither.
    """
    made = client.Configuration()
    if kubeconfig is None and _in_a_pod():
        config.load_incluster_config(client_configuration=made)
    else:
        try:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=made)
        except config.ConfigException as error:
            raise errors.Invalid(f"There is no usable kubeconfig: {error} Set KUBECONFIG.") from error
    made.connection_pool_maxsize = CONNECTIONS
    # Else each request reads .netrc and looks for a proxy, in a thread.
    made.client_session_kwargs = {"trust_env": bool(getproxies())}
    return made


def _in_a_pod() -> bool:
    return TOKEN.exists()


class _Rest(RESTClientObject):  # type: ignore[misc]  # it has no types
    def _create_connector(self) -> Connections:
        return Connections(limit=self.maxsize, ssl=self.ssl_context)


class Api:
    """Requests to one API server."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self._client = client.ApiClient(configuration)
        self._client.rest_client = _Rest(configuration)
        self._gate = asyncio.Semaphore(CONNECTIONS)

    @property
    def ssl(self) -> Any:
        """Return the TLS context that verifies the server and holds the client's certificate."""
        return self._client.rest_client.ssl_context

    async def authorization(self) -> str | None:
        """Return the value of the Authorization header, as it is valid now."""
        token: str | None = await self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return token

    async def close(self) -> None:
        """Close the connections, and wait until they are closed."""
        await self._client.close()

    async def get(self, where: str, **query: str) -> Manifest | None:
        """Return the object or list at ``where``; None when the server says that this very object does not exist."""
        try:
            return await self.send("GET", where, query=query)
        except errors.Missing:
            return None

    async def send(
        self, method: str, where: str, *, query: Mapping[str, str] | None = None, body: Any = None, form: str = JSON
    ) -> Manifest:
        """Send one request and return the answer; raises `HeadraceError`."""
        async with self._gate:
            return await self._send(method, where, query, body, form)

    @measured("kubernetes")
    async def _send(self, method: str, where: str, query: Mapping[str, str] | None, body: Any, form: str) -> Manifest:
        what = f"{method} {where}"
        if method != "GET":
            fence.check(what)
        status, said = await self._ask(method, where, query, body, form)
        if status == 404 and not _names_an_object(said):
            raise errors.Unreachable(f"{what}: the Kubernetes API server does not serve this kind: install its CRD.")
        answer = answers.read(what, SERVER, status, said)
        if not isinstance(answer, dict):
            raise errors.Unreachable(f"{what}: the Kubernetes API server answered {status} without an object.")
        return answer

    async def served(self, api_version: str) -> frozenset[str]:
        """Return the plural names of the kinds of ``api_version`` that the server serves; raises `HeadraceError`."""
        where = f"/apis/{api_version}"
        status, said = await self._ask("GET", where, None, None, JSON)
        if status == 404:
            return frozenset()
        found = answers.read(f"GET {where}", SERVER, status, said)
        return frozenset(one["name"] for one in found["resources"])

    async def _ask(
        self, method: str, where: str, query: Mapping[str, str] | None, body: Any, form: str
    ) -> tuple[int, bytes]:
        headers = {"Accept": JSON, "Content-Type": form, **answers.PLAIN}
        try:
            ready = await self._client.param_serialize(
                method, where, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            response = await self._client.call_api(*ready, _request_timeout=READ if method == "GET" else WRITE)
            return response.status, await _body(f"{method} {where}", response.response)
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            what = f"{method} {where}: the Kubernetes API server did not answer within {DEADLINE:.0f} s: {error!r}"
            raise errors.Unreachable(what) from error


async def _body(what: str, response: aiohttp.ClientResponse) -> bytes:
    try:
        return await answers.body(response, LONGEST)
    except ValueError as error:
        text = f"{what}: the Kubernetes API server's answer {error}, and was not read: let more operators watch less."
        raise errors.Unreachable(text) from error


def _names_an_object(said: bytes) -> bool:
    """Tell whether a 404 is about one object; about a whole kind it says nothing of the objects that were there."""
    try:
        return bool((json.loads(said).get("details") or {}).get("name"))
    except (ValueError, AttributeError):
        return False
