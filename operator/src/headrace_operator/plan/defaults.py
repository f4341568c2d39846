"""What Connectors get from their ConnectCluster, unless their own specs say it. Pure.

What is in force with an accepted spec is on record beside it, so that what runs stays as it is while an edit of either
is refused.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Reference
from headrace_operator.plan import needs
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.conditions import Finding

Defaults = Mapping[str, str]
Check = Callable[[ConnectorSpec], Finding | None]

COLUMN, HEADERS = "transforms.outbox.table.field.event.", "transforms.outbox.table.fields.additional.placement"
SAID: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("postgres", "publication"): ("publication.autocreate.mode",),
    ("postgres", "onSlotLost"): ("snapshot.mode",),
    ("topics", "partitions"): ("topic.creation.*.partitions",),
    ("topics", "replicationFactor"): ("topic.creation.*.replication.factor",),
    ("topics", "prefix"): ("transforms.outbox.route.topic.replacement",),
    ("topics", "maxRecordBytes"): (
        "producer.override.buffer.memory",
        "producer.override.max.request.size",
        "snapshot.fetch.size",
        "topic.creation.*.max.message.bytes",
    ),
    ("capture", "outbox", "columns", "id"): (f"{COLUMN}id",),
    ("capture", "outbox", "columns", "route"): ("transforms.outbox.route.by.field",),
    ("capture", "outbox", "columns", "key"): (f"{COLUMN}key",),
    ("capture", "outbox", "columns", "payload"): (f"{COLUMN}payload",),
    ("capture", "outbox", "columns", "type"): (HEADERS,),
    ("capture", "outbox", "columns", "traceparent"): (HEADERS,),
}
"""Fields of a Connector, each with the properties that are made of it: what a spec says wins over defaults.

An asterisk is any group of topics.
"""


def given(resource: Resource, cluster: Reference | None) -> Defaults:
    """Return what the ConnectCluster of a Connector gives it now; while that is not known what it gave before."""
    if not isinstance(cluster, Resource):
        return before(resource)
    return _of(needs.accepted(cluster).get("connectorDefaults"))


def before(resource: Resource) -> Defaults:
    """Return what is in force with the accepted spec of a Connector."""
    found = resource.status.get("defaults")
    return found if isinstance(found, Mapping) else {}


def over(spec: ConnectorSpec, defaults: Defaults) -> ConnectorSpec:
    """Return a spec whose raw properties are those of ``defaults``, too, which it does not say itself."""
    if not defaults:
        return spec
    own, said = spec.config or {}, _said(spec.model_dump(by_alias=True, exclude_none=True))
    known = set(map(_to_driver, own))
    more = {
        name: value
        for name, value in defaults.items()
        if _to_driver(name) not in known
        and not any(fnmatchcase(name, one) for one in said)
        and not _takes_router(spec, name, value)
    }
    return spec.model_copy(update={"config": {**more, **own}})


def checked(checks: Iterable[Check], defaults: Defaults) -> Check:
    """Return these checks as one, of a spec with ``defaults``."""

    def check(spec: ConnectorSpec) -> Finding | None:
        whole = over(spec, defaults)
        return next((found for one in checks if (found := one(whole))), None)

    return check


def applied(judged: Acceptance[ConnectorSpec], resource: Resource, now: Defaults) -> Acceptance[ConnectorSpec]:
    """Return what is in force with its defaults: those of ``now``, and those of before while an edit is refused."""
    if judged.spec is None:
        return judged
    return dataclasses.replace(judged, spec=over(judged.spec, now if judged.problem is None else before(resource)))


def recorded(judged: Acceptance[ConnectorSpec], resource: Resource, now: Defaults) -> Defaults | None:
    """Return what to record beside the accepted spec: those of before as long as that is what was accepted before."""
    is_new = judged.problem is None and judged.accepted is not resource.status.get("accepted")
    return (now if is_new else before(resource)) or None


def _of(defaults: Any) -> Defaults:
    """Return what the accepted spec of a ConnectCluster gives to Connectors of PostgreSQL, the source there is."""
    found = defaults.get("postgres") if isinstance(defaults, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _said(spec: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for path, names in SAID.items() if _has(spec, path) for name in names)


def _to_driver(name: str) -> str:
    """Return one name for what the driver is given by either prefix, of which Debezium takes ``database.`` first."""
    return re.sub(r"^driver\.", "database.", name)


def _takes_router(spec: ConnectorSpec, name: str, value: str) -> bool:
    """Tell whether a default would have an outbox captured as a table, as it leaves its router out."""
    return name == "transforms" and spec.capture.outbox is not None and "outbox" not in re.split(r"\s*,\s*", value)


def _has(part: Any, path: tuple[str, ...]) -> bool:
    if not path:
        return part is not None
    return isinstance(part, Mapping) and _has(part.get(path[0]), path[1:])
