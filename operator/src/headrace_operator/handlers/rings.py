"""Whom an event concerns: the resource itself, and those of its namespace that refer to it, or may by way of another.

An event only rings; what is true is read in the pass. It must not know kopf.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from headrace_operator.api.schema import ASKED, REQUESTED, TAKE_OVER
from headrace_operator.reconcile.turns import Key

NEIGHBOURS = {
    "KafkaConnection": ("ConnectCluster", "Consumer", "OutboxRelay"),
    "ConnectCluster": ("Connector", "Consumer"),
    "Connector": ("ConnectCluster", "Consumer", "OutboxRelay", "Snapshot"),
    "Consumer": (),
    "OutboxRelay": (),
    "Snapshot": ("Connector",),
}
"""Which kinds read a kind."""

OWNERS = {
    "headrace.dev/consumer": "Consumer",
    "headrace.dev/connect": "ConnectCluster",
    "headrace.dev/agent": "ConnectCluster",
    "headrace.dev/relay": "OutboxRelay",
}

SETTLE = 0.5
"""Seconds that a neighbour waits, so that events that come together make one pass."""


class Rings:
    """Puts keys into a queue; ``put`` takes a key and the seconds until it is due."""

    def __init__(self, put: Callable[[Key, float], None]) -> None:
        self._put = put
        self._known: defaultdict[tuple[str, str], dict[str, Mapping[str, object]]] = defaultdict(dict)
        self._meaning: dict[Key, tuple[object, ...]] = {}

    def resource(self, kind: str, body: Mapping[str, object], *, deleted: bool) -> None:
        """Ring a resource; ring its neighbours when what they read of it changed."""
        meta = body["metadata"]
        assert isinstance(meta, Mapping)
        key = Key(kind, str(meta["namespace"]), str(meta["name"]))
        meaning = _meaning(body, meta)
        changed = deleted or self._meaning.get(key) != meaning
        beside = self._known[key.namespace, kind]
        beside[key.name] = _references(kind, key.name, body)
        self._meaning[key] = meaning
        if changed:
            self._put(key, 0.0)
            self._neighbours(key, beside[key.name])
        if deleted:
            self._forget(key)

    def child(self, labels: Mapping[str, str], namespace: str) -> None:
        """Ring the owner of a child."""
        for label, kind in OWNERS.items():
            if label in labels:
                self._put(Key(kind, namespace, labels[label]), 0.0)

    def _forget(self, key: Key) -> None:
        del self._meaning[key]
        beside = self._known[key.namespace, key.kind]
        del beside[key.name]
        if not beside:
            del self._known[key.namespace, key.kind]

    def _neighbours(self, key: Key, mine: Mapping[str, object]) -> None:
        for kind in NEIGHBOURS[key.kind]:
            for name, theirs in self._known.get((key.namespace, kind), {}).items():
                if theirs.get(key.kind, key.name) == key.name and mine.get(kind, name) == name:
                    self._put(Key(kind, key.namespace, name), SETTLE)


def _references(kind: str, name: str, body: Mapping[str, object]) -> Mapping[str, object]:
    """Return what a resource called `name` reads of each kind: one name, or none; of one that is left out any."""
    spec = body.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    source = spec.get("from") or {}
    match kind:
        case "ConnectCluster":
            return {"KafkaConnection": spec.get("kafka")}
        case "OutboxRelay":
            return {"KafkaConnection": spec.get("kafka"), "Connector": name}
        case "Snapshot":
            return {"Connector": spec.get("connector")}
        case "Connector":
            return {"ConnectCluster": spec.get("connect")}
        case "Consumer" if "connector" in source:
            return {"Connector": source["connector"]}
        case "Consumer":
            return {"Connector": None, "ConnectCluster": None, "KafkaConnection": source.get("kafka")}
        case _:
            return {}


def _meaning(body: Mapping[str, object], meta: Mapping[str, object]) -> tuple[object, ...]:
    """Return what a pass would see differently: spec, acceptance, conditions, what is asked; no figures."""
    status = body.get("status")
    status = status if isinstance(status, Mapping) else {}
    conditions = [(one.get("type"), one.get("status"), one.get("reason")) for one in status.get("conditions") or ()]
    accepted = (status.get("accepted") or {}).get("generation")
    annotations = meta.get("annotations")
    annotations = annotations if isinstance(annotations, Mapping) else {}
    asked = tuple(annotations.get(one) for one in (REQUESTED, TAKE_OVER, *ASKED.values()))
    return meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"), accepted, conditions, asked
