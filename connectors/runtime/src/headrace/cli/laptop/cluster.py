"""The Kubernetes API as the user's own kubeconfig and rights allow it; the command line's only importer of kubernetes.

Every refusal is told in the user's words: which verb on which resource in which namespace. It must not print.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import client, config

from headrace.cli.failure import Failure, forbidden, not_found, unreachable, unwell, usage

Json = dict[str, Any]

GROUP, VERSION = "headrace.dev", "v1alpha1"
DEADLINE = 20
"""Seconds that the API server has to answer one call."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """How the user chose a cluster, as with kubectl; None means what the kubeconfig says."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


class Cluster:
    """One cluster as one user; ``namespace`` is the one chosen."""

    def __init__(self, access: Access) -> None:
        """Read the kubeconfig; raises ``Failure`` when there is none or it lacks the context."""
        try:
            self._api, current = _client(access)
        except config.ConfigException as error:
            raise usage(
                f"no usable kubeconfig: {error}", "Name one with --kubeconfig or KUBECONFIG, a context with --context."
            ) from error
        self.namespace: str = access.namespace or current
        self._core = client.CoreV1Api(self._api)

    def user(self) -> str:
        """Return the name under which the API server knows the user (SelfSubjectReview), else "unknown"."""
        try:
            review = client.AuthenticationV1Api(self._api).create_self_subject_review(
                client.V1SelfSubjectReview(), _request_timeout=DEADLINE
            )
        except client.ApiException:
            return "unknown"
        return str(review.status.user_info.username)

    def deployment(self, name: str) -> Json:
        """Return a Deployment as JSON; raises ``Failure``."""
        with self._telling("get", "deployments.apps", name):
            return self._json(
                client.AppsV1Api(self._api).read_namespaced_deployment(name, self.namespace, _request_timeout=DEADLINE)
            )

    def pod(self, name: str) -> Json:
        """Return a Pod as JSON; raises ``Failure``."""
        with self._telling("get", "pods", name):
            return self._json(self._core.read_namespaced_pod(name, self.namespace, _request_timeout=DEADLINE))

    def create_pod(self, manifest: Json) -> None:
        """Make a Pod; raises ``Failure``, after which it may be there all the same."""
        with self._telling("create", "pods", manifest["metadata"]["name"]):
            self._core.create_namespaced_pod(self.namespace, manifest, _request_timeout=DEADLINE)

    def delete_pod(self, name: str) -> None:
        """Delete a Pod; one that is gone is well. Raises ``Failure``."""
        try:
            with self._telling("delete", "pods", name):
                self._core.delete_namespaced_pod(
                    name, self.namespace, grace_period_seconds=5, _request_timeout=DEADLINE
                )
        except Failure as failure:
            if not isinstance(failure.__cause__, client.ApiException) or failure.__cause__.status != 404:
                raise

    def log(self, pod: str, silence: float) -> Iterator[str]:
        """Follow the log of ``pod`` from its beginning, a line at a time; ends early after ``silence`` seconds."""
        with self._telling("get", "pods/log", pod):
            response = self._core.read_namespaced_pod_log(
                pod, self.namespace, follow=True, _preload_content=False, _request_timeout=(DEADLINE, silence)
            )
        try:
            yield from _lines(response.stream(4096))
        except (urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.ProtocolError):
            return  # the caller looks at the pod and, while it runs, follows again
        finally:
            response.release_conn()

    def listed(self, plural: str, *, everywhere: bool) -> list[Json]:
        """Return the custom resources of a kind, in the namespace or ``everywhere``; raises ``Failure``."""
        api = client.CustomObjectsApi(self._api)
        with self._telling("list", f"{plural}.{GROUP}", None if everywhere else ""):
            if everywhere:
                found = api.list_cluster_custom_object(GROUP, VERSION, plural, _request_timeout=DEADLINE)
            else:
                found = api.list_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, plural, _request_timeout=DEADLINE
                )
        return list(found["items"])

    def resource(self, plural: str, name: str) -> Json:
        """Return a custom resource as JSON; raises ``Failure``."""
        api = client.CustomObjectsApi(self._api)
        with self._telling("get", f"{plural}.{GROUP}", name):
            return dict(
                api.get_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, plural, name, _request_timeout=DEADLINE
                )
            )

    def patch(self, plural: str, name: str, change: Json) -> Json:
        """Merge ``change`` into a custom resource and return it as it is then, as JSON; raises ``Failure``."""
        api = client.CustomObjectsApi(self._api)
        with self._telling("patch", f"{plural}.{GROUP}", name):
            return dict(
                api.patch_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    self.namespace,
                    plural,
                    name,
                    change,
                    field_manager="headrace-cli",
                    _content_type="application/merge-patch+json",
                    _request_timeout=DEADLINE,
                )
            )

    def _json(self, made: object) -> Json:
        return dict(self._api.sanitize_for_serialization(made))

    @contextmanager
    def _telling(self, verb: str, resource: str, name: str | None) -> Iterator[None]:
        what = f"{resource} {name or ''}".strip()
        where = "in all namespaces" if name is None else f"in namespace {self.namespace}"
        try:
            yield
        except client.ApiException as error:
            raise _told(error, verb, what, where) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(
                f"cannot {verb} {what} {where}: the API server {self._api.configuration.host} did not answer: {error}",
                "Check the network, and --context or --kubeconfig.",
            ) from error


def _client(access: Access) -> tuple[Any, str]:
    try:
        _, active = config.list_kube_config_contexts(access.kubeconfig)
    except config.ConfigException:
        if access.kubeconfig or access.context:
            raise
        return _own_account()
    api = config.new_client_from_config(access.kubeconfig, access.context)
    chosen = active if access.context is None else _context(access)
    return api, chosen["context"].get("namespace") or "default"


def _context(access: Access) -> Json:
    every, _ = config.list_kube_config_contexts(access.kubeconfig)
    return next(dict(one) for one in every if one["name"] == access.context)


def _own_account() -> tuple[Any, str]:
    """In a pod without a kubeconfig: its own account, as kubectl does."""
    settings = client.Configuration()
    config.load_incluster_config(client_configuration=settings)
    with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:
        return client.ApiClient(settings), file.read().strip()


def _told(error: client.ApiException, verb: str, what: str, where: str) -> Failure:
    said = _message(error)
    match error.status:
        case 401:
            return forbidden(f"the API server does not know you: {said}", "Log in again, or choose another --context.")
        case 403 if "cannot " in said:
            return forbidden(
                f"you may not {verb} {what} {where}",
                "Ask for that right; docs/dead-letters.md has a Role with all that this command needs.",
            )
        case 403:
            return forbidden(f"the cluster does not admit {what} {where}: {said}", "Its policy or quota says why.")
        case 404 if verb == "list":
            return not_found(
                f"the cluster does not know {what.split(maxsplit=1)[0]}", "Install the chart headrace-crds."
            )
        case 404:
            return not_found(f"no {what} {where}")
        case _:
            return unwell(f"cannot {verb} {what} {where}: {error.status} {said}")


def _message(error: client.ApiException) -> str:
    """Return the sentence of the Status that the API server answered with, else its bare reason."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
