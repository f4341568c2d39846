"""Whether a Connector follows its database: what it has committed beside the database's own position: `Streaming`.

Heartbeats move both, also while no captured table changes: the agent's in the database, Debezium's in Kafka.
"""

from __future__ import annotations

from headrace_operator.observed.source import SourceSeen, Unseen
from headrace_operator.plan import debezium, slots
from headrace_operator.plan import source as sources
from headrace_operator.plan.conditions import Finding, false, true, unknown
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.slots import Reader
from headrace_operator.plan.source import Source

TYPE = "Streaming"


def finding(source: Source, reader: Reader) -> Finding:
    """Return the condition `Streaming` of a connector that is not paused or stopped."""
    if (why := _unjudged(source, reader)) is not None:
        return unknown(TYPE, Reason.UNKNOWN, why)
    mine = slots.committed(reader.offsets)
    if not (reader.stands and behind(source, reader)):
        return true(TYPE, Reason.STREAMING, "What the connector has committed follows the database.")
    text = (
        f"The connector says that it runs, but has committed nothing beyond {slots.position(mine)} for 45 seconds or "
        "more, while the database went on. It may be reading a large transaction; else see the log of its worker, "
        "and start its task anew: headrace connector restart."
    )
    return false(TYPE, Reason.NO_PROGRESS, text)


def behind(source: Source, reader: Reader) -> int | None:
    """Return by how many bytes of its log a database is beyond what is committed; None where one is not known."""
    mine, theirs = slots.committed(reader.offsets), _position(source)
    return None if not mine or theirs is None else max(0, theirs - mine)


def _unjudged(source: Source, reader: Reader) -> str | None:
    if not reader.runs:
        return "The connector's tasks do not run."
    if (why := sources.unseen(source)) is not None:
        return why
    if not debezium.beats(reader.made):
        return "Without heartbeats (heartbeat.interval.ms is 0) a database that rests looks like one that is not read."
    if isinstance(source, SourceSeen) and isinstance(source.position, Unseen):
        return source.position.why
    return None if slots.committed(reader.offsets) else "The connector has committed no position yet."


def _position(source: Source) -> int | None:
    seen = sources.value(source.position) if isinstance(source, SourceSeen) else None
    return None if seen is None else seen.number
