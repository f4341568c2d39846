"""What was last seen of objects in Kubernetes: by watches, by the operator's own reads, and by answers to its writes.

It never says that something is absent, and nothing is remembered for more than `OLDEST` seconds without being told or
read again, so that a watch that is silent, or misses an end, costs no more. What it may be used for is a table in
ARCHITECTURE.md.
"""

from __future__ import annotations

import functools
import random
import time
from collections import defaultdict
from collections.abc import Callable

import pydantic_core

from headrace_operator.api import hosts
from headrace_operator.observed.kube import Manifest

OLDEST = 60.0
"""Seconds for which something is remembered at most; the half at least, so that not all is read anew at once."""

OURS = {"manager": "headrace", "operation": "Apply"}
"""What of the many owners of an object's fields is remembered: which of them Headrace applied."""

SHARED = 256
"""Objects of which what was read is kept: the few that a thousand refer to, such as ConnectClusters."""

NOTHING = (0.0, 0, b"")


class Remembered:
    """Objects by their address at the API server (`clients.api.path`); ``now`` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._objects: dict[str, tuple[float, int, bytes]] = {}
        self._dropped: dict[str, float] = {}
        self._named: defaultdict[str, set[str]] = defaultdict(set)
        self._swept = now()

    def get(self, where: str) -> Manifest | None:
        """Return what is remembered of the object at ``where``; None when it has to be read."""
        until, _, told = self._objects.get(where, NOTHING)
        if until <= self._now():
            return None
        return _read(told)

    def all_of(self, kind: str) -> list[Manifest]:
        """Return the objects below the address ``kind`` that are remembered; there may be more."""
        found = (self.get(f"{kind}/{name}") for name in sorted(self._named.get(kind, ())))
        return [one for one in found if one is not None]

    def last(self, where: str) -> Manifest | None:
        """Return what was last known of the object at ``where``, however old: it may say how to ask again."""
        _, _, told = self._objects.get(where, NOTHING)
        return _read(told) if told else None

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
        told = pydantic_core.to_json({**manifest, "metadata": meta})
        self._objects[where] = (self._now() + random.uniform(OLDEST / 2, OLDEST), version, told)
        kind, _, name = where.rpartition("/")
        self._named[kind].add(name)
        self._sweep()

    def now(self) -> float:
        """Return the time by which `renew` is told when something was asked for."""
        return self._now()

    def renew(self, where: str, manifest: Manifest, asked: float) -> None:
        """Believe anew what a list says that was ``asked`` for then, of what was known and did not end since."""
        if where not in self._objects or self._dropped.get(where, asked) > asked:
            return
        if _version(manifest) != self._objects[where][1]:
            self.put(where, manifest)
        self._objects[where] = (asked + OLDEST, *self._objects[where][1:])

    def drop(self, where: str) -> None:
        """Remember nothing of the object at ``where``."""
        if self._objects.pop(where, None):
            self._dropped[where] = self._now()
            self._unname(where)

    def _sweep(self) -> None:
        """Forget what nobody asked for though it is too old for as long again."""
        if self._now() - self._swept > OLDEST:
            self._swept = self._now()
            before = self._swept - OLDEST
            for where in [at for at, one in self._objects.items() if one[0] <= before]:
                del self._objects[where]
                self._unname(where)
            self._dropped = {at: when for at, when in self._dropped.items() if when > before}

    def _unname(self, where: str) -> None:
        kind, _, name = where.rpartition("/")
        self._named[kind].discard(name)
        if not self._named[kind]:
            del self._named[kind]


@functools.lru_cache(maxsize=SHARED)
def _read(told: bytes) -> Manifest:
    """Return what was kept as text, by the quicker parser: it is read in every pass. Nobody changes what was read."""
    found: Manifest = pydantic_core.from_json(told)
    return found


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
