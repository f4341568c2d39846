"""Whom an event concerns: the resource itself, and those of its namespace that may refer to it.

An event only rings; what is true is read live in the pass. It must not know kopf.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headrace_operator.reconcile.queue import Key

NEIGHBOURS = {
    "KafkaConnection": ("ConnectCluster", "Consumer"),
    "ConnectCluster": ("Connector", "Consumer"),
    "Connector": ("ConnectCluster", "Consumer"),
    "Consumer": (),
}
"""Which kinds read a kind."""

OWNERS = {"headrace.dev/consumer": "Consumer", "headrace.dev/connect": "ConnectCluster"}

SETTLE = 0.5
"""Seconds that a neighbour waits, so that events that come together make one pass."""


class Rings:
    """Puts keys into a queue; ``put`` takes a key and the seconds until it is due."""

    def __init__(self, put: Callable[[Key, float], None]) -> None:
        self._put = put
        self._known: set[Key] = set()
        self._meaning: dict[Key, tuple[object, ...]] = {}

    def resource(self, kind: str, body: Mapping[str, object], *, deleted: bool) -> None:
        """Ring a resource; ring its neighbours when what they read of it changed."""
        meta = body["metadata"]
        assert isinstance(meta, Mapping)
        key = Key(kind, str(meta["namespace"]), str(meta["name"]))
        meaning = _meaning(body, meta)
        changed = deleted or self._meaning.get(key) != meaning
        self._known.add(key)
        self._meaning[key] = meaning
        if deleted:
            self._known.discard(key)
            del self._meaning[key]
        if changed:
            self._put(key, 0.0)
            self._neighbours(key)

    def child(self, labels: Mapping[str, str], namespace: str) -> None:
        """Ring the owner of a child."""
        for label, kind in OWNERS.items():
            if label in labels:
                self._put(Key(kind, namespace, labels[label]), 0.0)

    def _neighbours(self, key: Key) -> None:
        for other in self._known:
            if other.namespace == key.namespace and other.kind in NEIGHBOURS[key.kind]:
                self._put(other, SETTLE)


def _meaning(body: Mapping[str, object], meta: Mapping[str, object]) -> tuple[object, ...]:
    """Return what a pass would see differently: the spec, its acceptance, and conditions; not figures in the status."""
    status = body.get("status")
    status = status if isinstance(status, Mapping) else {}
    conditions = [(one["type"], one["status"], one["reason"]) for one in status.get("conditions") or ()]
    accepted = (status.get("accepted") or {}).get("generation")
    return meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"), accepted, conditions
