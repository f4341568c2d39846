"""How large a record of a connector may be, and what to do about a row that is larger. Pure.

The workers' own converter refuses the row of a table before the producer would, which names no topic; the key is left
out, as it may be what whoever sees a Connector is not to see. See `BoundedConverter` of the workers' image.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import Reference
from headrace_operator.plan import debezium, publication

CONVERTER = "value.converter"
BOUNDED = "dev.headrace.connect.debezium.BoundedConverter"
WORDS = r"A record for topic (\S+) has (\d+) bytes(?:, column (\S+) \d+)?, and a record may have (\d+)"
"""How it names one."""

LIMITS = {
    "max.request.size": "producer.override.max.request.size",
    "buffer.memory": "producer.override.buffer.memory",
}
"""What the producer names, and the property of the user's own that goes before what the spec says of it."""

SIZE = LIMITS["max.request.size"]
UNLESS_TOLD = 1024 * 1024
"""Bytes of a record that Kafka's producer takes unless it is told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Large:
    """A row that is too large: its ``table``, its largest ``column`` where that is known, and the ``most`` bytes."""

    table: str
    column: str | None
    most: int


def most(spec: ConnectorSpec, cluster: Reference | None) -> str | None:
    """Return how many bytes a record may have; None of the workers of others, of whose producers nobody knows it."""
    if not isinstance(cluster, Resource) or (workers := cluster.spec.get("workers")) is None:
        return None
    own = workers.get("config") or {}
    given = spec.topics.max_record_bytes if spec.topics else None
    return (spec.config or {}).get(SIZE) or str(given or own.get("producer.max.request.size") or UNLESS_TOLD)


def bounded(spec: ConnectorSpec, cluster: Reference | None) -> dict[str, str]:
    """Return the properties by which a table's row that the producer would refuse is named.

    A converter of the user's own stays, and workers of an image that lacks ours have Kafka's.
    """
    largest = most(spec, cluster)
    if spec.capture.outbox is not None or CONVERTER in (spec.config or {}) or not (largest or "").isdecimal():
        return {}
    return {CONVERTER: BOUNDED, f"{CONVERTER}.largest.bytes": str(largest)} if _has_it(cluster) else {}


def _has_it(cluster: Reference | None) -> bool:
    """Tell whether the workers have the converter, as far as they ever told."""
    told = cluster.status.get("plugins") if isinstance(cluster, Resource) else None
    return not told or BOUNDED in {one["class"] for one in told}


def advice(resource: Resource, spec: ConnectorSpec | None, told: str | None) -> str:
    """Return what to do about a record that is too large, by the words of the failure."""
    raised = _raised(spec, told or "")
    large = named(resource, spec, told)
    if large is None:
        return f"{raised}."
    left_out = ""
    if large.column is not None:
        pattern = debezium.literal(f"{large.table}.{large.column}")
        left_out = f", or leave its largest column out by spec.config, column.exclude.list: {pattern}"
    rows = f"SELECT * FROM {publication.quoted(large.table)} AS t WHERE octet_length(t::text) > {large.most // 2}"
    return f"It is a row of table {large.table}. {raised}{left_out}. To look for it: {rows}."


def named(resource: Resource, spec: ConnectorSpec | None, told: str | None) -> Large | None:
    """Return the table's row that a failure names; None where it names none."""
    found = re.search(WORDS, told or "")
    if found is None or spec is None:
        return None
    prefix = debezium.prefix(resource, spec)
    tables = {debezium.topic(prefix, table=one): one for one in spec.capture.tables or ()}
    table, column = tables.get(found[1]), found[3] and unquote_plus(found[3])
    return Large(table=table, column=column, most=int(found[4])) if table else None


def _raised(spec: ConnectorSpec | None, told: str) -> str:
    """Return which limit is to be raised: what the user set of a producer goes before the spec's one number."""
    limit = next((one for one in LIMITS if f"{one} configuration" in told), "max.request.size")
    own = LIMITS[limit]
    if spec is None or own not in (spec.config or {}):
        return "Raise spec.topics.maxRecordBytes above the bytes it names"
    return (
        f"spec.config, {own}, is what is too small, and goes before spec.topics.maxRecordBytes: take it out, and set "
        "that above the bytes it names"
    )
