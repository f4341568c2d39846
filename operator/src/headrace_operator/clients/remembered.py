"""What was last seen of objects in Kubernetes: by watches, by the operator's own reads, and by answers to its writes.

It never says that something is absent, and nothing is remembered for more than `OLDEST` seconds without being told or
read again, so that a watch that is silent, or misses an end, costs no more. What it may be used for is a table in
ARCHITECTURE.md.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from headrace_operator.api import hosts
from headrace_operator.clients import errors
from headrace_operator.clients.api import JSON, Api
from headrace_operator.clients.kept import Kept
from headrace_operator.observed.kube import Manifest

OLDEST = 60.0
"""Seconds for which something is remembered at most; the half at least, so that not all is read anew at once."""

LISTS = 1.0
"""Seconds for which a list serves those that ask for the same one."""

OURS = {"manager": "headrace", "operation": "Apply"}
"""What of the many owners of an object's fields is remembered: which of them Headrace applied."""

NOTHING = (0.0, 0, b"")

Query = tuple[str, tuple[tuple[str, str], ...]]


class Remembered:
    """Objects by their address at the API server (`clients.api.path`); ``now`` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._objects: dict[str, tuple[float, int, bytes]] = {}
        self._swept = now()

    def get(self, where: str) -> Manifest | None:
        """Return what is remembered of the object at ``where``; None when it has to be read."""
        until, _, told = self._objects.get(where, NOTHING)
        if until <= self._now():
            return None
        found: Manifest = json.loads(told)
        return found

    def put(self, where: str, manifest: Manifest) -> None:
        """Remember what was seen just now, but for a Secret's values; as text, which takes a tenth of the memory."""
        version = _version(manifest)
        until, last, _ = self._objects.get(where, NOTHING)
        if version < last and self._now() < until:
            return  # an answer that a newer one overtook
        manifest = _without_values(manifest) if manifest.get("kind") == "Secret" else manifest
        meta = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
        owned = [one for one in manifest["metadata"].get("managedFields") or () if OURS.items() <= one.items()]
        meta |= {"managedFields": owned} if owned else {}
        told = json.dumps({**manifest, "metadata": meta}).encode()
        self._objects[where] = (self._now() + random.uniform(OLDEST / 2, OLDEST), version, told)
        self._sweep()

    def drop(self, where: str) -> None:
        """Remember nothing of the object at ``where``."""
        self._objects.pop(where, None)

    def _sweep(self) -> None:
        if self._now() - self._swept > OLDEST:
            self._swept = self._now()
            self._objects = {at: one for at, one in self._objects.items() if one[0] > self._swept}


def _version(manifest: Manifest) -> int:
    """Return a number that is greater after each write of an object: etcd counts its own."""
    said = str(manifest["metadata"].get("resourceVersion", ""))
    return int(said) if said.isdecimal() else 0


def _without_values(secret: Manifest) -> Manifest:
    """Return what a Secret says of itself and its keys; ``kubectl`` writes values into annotations, too."""
    meta = secret["metadata"]
    known = {name: meta[name] for name in ("namespace", "name", "uid", "resourceVersion") if name in meta}
    said = (meta.get("annotations") or {}).get(hosts.ANNOTATION)
    annotations = {} if said is None else {"annotations": {hosts.ANNOTATION: said}}
    keys = dict.fromkeys(secret.get("data") or ())
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {**known, **annotations}, "data": keys}


class Remembering:
    """The API server as `Api` gives it; what it answers is remembered, and serves reads that need not be ``live``."""

    def __init__(self, api: Api, remembered: Remembered, *, live: bool) -> None:
        self._api, self._remembered, self._live = api, remembered, live
        self._lists: Kept[Query, Manifest | None] = Kept(self._list, LISTS)

    async def get(self, where: str, **query: str) -> Manifest | None:
        """Return the object or list at ``where``; None when the server says that this very object does not exist."""
        if query:
            return await (self._list if self._live else self._lists.ask)((where, tuple(query.items())))
        known = None if self._live else self._remembered.get(where)
        return await self._read(where) if known is None else known

    async def send(
        self, method: str, where: str, *, query: Mapping[str, str] | None = None, body: Any = None, form: str = JSON
    ) -> Manifest:
        """Send one request and return the answer; raises `HeadraceError`."""
        about = where.removesuffix("/status")
        try:
            answer = await self._api.send(method, where, query=query, body=body, form=form)
        except errors.HeadraceError:
            self._remembered.drop(about)
            raise
        if method == "PATCH":
            self._remembered.put(about, answer)
        if method == "DELETE":
            self._remembered.drop(about)
        return answer

    async def _read(self, where: str) -> Manifest | None:
        found = await self._api.get(where)
        if found is None:
            self._remembered.drop(where)
        elif "items" not in found:
            self._remembered.put(where, found)
        return found

    async def _list(self, asked: Query) -> Manifest | None:
        where, query = asked
        return await self._api.get(where, **dict(query))
