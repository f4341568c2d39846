"""Ask an API server from this process, where kubectl's own words are not judged: one kubectl costs 0.2 s of processor.

Kinds are called as kubectl calls them: by kind, plural, singular or short name, with the group or without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
import yaml

from tests.waiting import PATIENCE, until

Manifest = Mapping[str, Any]
Manifests = str | Manifest | Iterable[Manifest]
"""YAML documents, an object, or several."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BUSY = urllib3.Retry(total=int(PATIENCE), connect=0, read=0, other=0, allowed_methods=None, raise_on_status=False)
"""Ask again after as long as the server says that it needs, a second or more: after a CRD came it answers 429."""

ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
"""Which a namespace needs for pods, where no controller makes it."""


class Refused(AssertionError):
    """The API server did not do what it was asked; ``message`` is what it says."""

    def __init__(self, asked: str, status: int, message: str) -> None:
        super().__init__(f"{asked}: {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True, kw_only=True)
class _Kind:
    root: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "", part: str = "") -> str:
        place = f"namespaces/{namespace or 'default'}" if self.namespaced else ""
        return "/".join(one for one in (self.root, place, self.plural, quote(name, safe=""), part) if one)


def refusal(write: Callable[[], None]) -> str:
    """Return what the API server has against a request; nothing when it takes it."""
    try:
        write()
    except Refused as refused:
        return refused.message
    return ""


class Client:
    """Requests of the administrator, or of ``who`` on whose behalf they are made; from any thread.

    Each raises `Refused` where the server does not do it. Fields that a kind does not have are refused.
    """

    def __init__(self, url: str, pki: Path) -> None:
        address = urlsplit(url)
        assert address.hostname
        self._pool = urllib3.HTTPSConnectionPool(
            address.hostname,
            address.port,
            maxsize=4,
            ca_certs=str(pki / "ca.crt"),
            cert_file=str(pki / "admin.crt"),
            key_file=str(pki / "admin.key"),
        )
        self._kinds: dict[str, _Kind] = {}

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def ask(
        self, method: str, path: str, body: Any = None, *, form: str = JSON, who: str = "", query: Any = ()
    ) -> dict[str, Any]:
        """Send one request, and return the object that answers it."""
        headers = {"Accept": JSON, "Content-Type": form, **({"Impersonate-User": who} if who else {})}
        return self._send(method, f"{path}?{urlencode(query)}" if query else path, body, headers)

    def _send(self, method: str, target: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        text = None if body is None else json.dumps(body)
        answer = self._pool.request(method, target, body=text, headers=headers, retries=BUSY, timeout=PATIENCE)
        if answer.status >= 400:
            raise Refused(f"{method} {target}", answer.status, _message(answer.status, answer.data))
        found: dict[str, Any] = json.loads(answer.data)
        return found

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
        """Return an object."""
        return self.ask("GET", self._kind(kind).path(namespace, name))

    def list(self, kinds: str, namespace: str = "", *, labels: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind, or of several between commas; only those that have ``labels``, a selector."""
        return [one for kind in kinds.split(",") for one in self._listed(self._kind(kind).path(namespace), labels)]

    def _listed(self, path: str, labels: str) -> Iterable[dict[str, Any]]:
        found = self.ask("GET", path, query={"labelSelector": labels} if labels else {})
        of = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return ({**of, **one} for one in found["items"])

    def create(self, objects: Manifests, namespace: str = "", *, who: str = "", dry: bool = False) -> None:
        """Make objects; with ``dry`` nothing is kept, and all is judged."""
        for one in _each(objects):
            self.ask("POST", self._place(one, namespace), one, who=who, query=_query(dry))

    def apply(self, objects: Manifests, namespace: str = "", *, who: str = "", dry: bool = False) -> None:
        """Make objects or edit them, field by field and whoever else wrote them; with ``dry`` nothing is kept."""
        for one in _each(objects):
            target = self._place(one, namespace, one["metadata"]["name"])
            self.ask("PATCH", target, one, form=APPLY, who=who, query={**_query(dry), "force": "true"})

    def patch(
        self, kind: str, name: str, change: Manifest, namespace: str = "", *, part: str = "", who: str = ""
    ) -> None:
        """Merge a change into an object, or into a ``part`` of it such as its status."""
        target = self._kind(kind).path(namespace, name, part)
        self.ask("PATCH", target, change, form=MERGE, who=who, query=_query(dry=False))

    def create_namespace(self, name: str) -> None:
        """Make a namespace."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def delete(self, kind: str, name: str, namespace: str = "", *, wait: bool = True) -> None:
        """Delete an object, and ``wait`` until it is gone, or another of that name is there."""
        said = self.ask("DELETE", self._kind(kind).path(namespace, name))
        uid = said["details" if "details" in said else "metadata"]["uid"]
        if wait:
            until(f"the end of {kind} {name}", lambda: self._uid(kind, name, namespace) != uid)

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        """Tell whether there is such an object."""
        return self._uid(kind, name, namespace) is not None

    def _uid(self, kind: str, name: str, namespace: str) -> str | None:
        try:
            return str(self.get(kind, name, namespace)["metadata"]["uid"])
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def _place(self, one: Manifest, namespace: str, name: str = "") -> str:
        kind = self._kind(f"{one['apiVersion']}/{one['kind']}")
        return kind.path(one["metadata"].get("namespace") or namespace, name)

    def _kind(self, name: str) -> _Kind:
        if name.lower() not in self._kinds:
            self._kinds = self._discovered()
        if name.lower() not in self._kinds:
            raise Refused("GET /apis", 404, f"the API server has no kind that is called {name}")
        return self._kinds[name.lower()]

    def _discovered(self) -> dict[str, _Kind]:
        found: dict[str, _Kind] = {}
        for root in ("/api", "/apis"):
            for group in self._send("GET", root, None, {"Accept": DISCOVERY})["items"]:
                for version in group["versions"]:
                    of = "/".join(one for one in (group["metadata"].get("name"), version["version"]) if one)
                    for resource in version.get("resources", ()):
                        found = {**_named(root, of, resource), **found}
        return found


def _named(root: str, of: str, resource: Manifest) -> dict[str, _Kind]:
    """Return a kind of a version ``of`` a group by all its names; none where it cannot be asked for by itself."""
    if not (kind := resource.get("responseKind", {}).get("kind", "").lower()):
        return {}
    made = _Kind(root=f"{root}/{of}", plural=resource["resource"], namespaced=resource["scope"] == "Namespaced")
    names = [resource["resource"], kind, resource["singularResource"], *resource.get("shortNames", ())]
    group = of.rpartition("/")[0]
    return dict.fromkeys([*names, *(f"{name}.{group}" for name in names), f"{of}/{kind}".lower()], made)


def _each(objects: Manifests) -> Iterable[Manifest]:
    if isinstance(objects, str):
        return [one for one in yaml.load_all(objects, yaml.CSafeLoader) if one]
    return [objects] if isinstance(objects, Mapping) else objects


def _query(dry: bool) -> dict[str, str]:
    known = {"fieldManager": "kubectl", "fieldValidation": "Strict"}
    return {**known, "dryRun": "All"} if dry else known


def _message(status: int, said: bytes) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError):
        return f"{status} {said.decode(errors='replace')}"
