"""Rows that a table had before a running Connector captured it: of which tables nobody has read them yet. Pure.

Debezium reads the rows of all tables once, at its beginning; of one that is added later only what changes from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import offset_documents, publication
from headrace_operator.plan import source as sources
from headrace_operator.plan.conditions import Finding, false, instant, timestamp
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.source import Source

TYPE = "RowsRead"
TOLD = 3
"""Tables that a sentence names."""

Unread = Sequence[dict[str, Any]]
"""Each such table by its ``name``, and ``since`` when the Connector captures it."""


def unread(world: ConnectorWorld, spec: ConnectorSpec | None, now: datetime) -> Unread:
    """Return the tables that were added while the connector ran, until a Snapshot has read them.

    A connector that takes its first snapshot, or takes one at each start, reads all. While it has told no offset yet it
    may be past that.
    """
    status = world.resource.status
    before: Unread = tuple(one for one in status.get("unread") or () if not _begins_anew(status, one["since"]))
    if spec is None:
        return before
    if _takes_the_first(world.seen) or (spec.config or {}).get("snapshot.mode") == "always":
        return ()
    tables = spec.capture.tables or ()
    known = publication.accepted_tables(world.resource) or tables
    since = {one["name"]: one["since"] for one in before}
    since |= {table: timestamp(now) for table in tables if table not in known}
    return tuple(
        {"name": table, "since": since[table]}
        for table in tables
        if table in since and not any(_has_read(one, world.resource, table, since[table]) for one in world.snapshots)
    )


def _takes_the_first(seen: ConnectorSeen | Absent | Unknown) -> bool:
    offsets = seen.offsets if isinstance(seen, ConnectorSeen) else None
    return bool(offsets) and not offset_documents.has_begun(offsets or ())


def _begins_anew(status: Mapping[str, Any], since: str) -> bool:
    """Tell whether the connector was made to forget all offsets since then, so that it reads everything again."""
    asked = (status.get("operations") or {}).get("offsets") or {}
    is_reset = (asked.get("action"), asked.get("phase")) == ("ResetOffsets", "Done")
    return is_reset and _follows(asked.get("since"), since)


def _has_read(snapshot: Resource, connector: Resource, table: str, since: str) -> bool:
    """Tell whether a Snapshot is done that has read a table since then, be it some of its rows: that was a choice."""
    status = snapshot.status
    is_done = status.get("phase") == "Completed" and (status.get("signal") or {}).get("connector") == connector.uid
    return is_done and table in (snapshot.spec.get("tables") or ()) and _follows(status.get("completedAt"), since)


def _follows(one: str | None, other: str) -> bool:
    """Tell whether a moment is known, and not before another."""
    later, earlier = instant(one), instant(other)
    return later is not None and earlier is not None and later >= earlier


def finding(found: Unread, source: Source) -> tuple[Finding, ...]:
    """Return the condition that says of which tables earlier rows are missing; none where there are no such."""
    if not found:
        return ()
    names = [_counted(one["name"], source) for one in found[:TOLD]]
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    text = (
        f"Rows that were there before a table was added are not read: {', '.join(names)}{more}. Make a Snapshot of "
        "them to have them read; one with the filter false says that nobody needs them."
    )
    return (false(TYPE, Reason.ROWS_NOT_READ, text),)


def _counted(table: str, source: Source) -> str:
    """Return a table with the server's estimate of its rows, where that is known."""
    seen = sources.value(source.tables) if isinstance(source, SourceSeen) else None
    relation = next((one.relation for one in seen or () if one.name == table), None)
    return table if relation is None or relation.rows is None else f"{table} (about {relation.rows} rows)"
