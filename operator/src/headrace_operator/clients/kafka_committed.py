"""What a group has committed of a partition, with what its member told of itself in the commit's metadata."""

from __future__ import annotations

from datetime import UTC, datetime

from headrace.load import FULL, LoadReport
from headrace.progress import Progress, decode
from headrace_operator.observed.kafka import Committed, PodLoad, StopSeen


def committed(offset: int, metadata: str | None) -> Committed:
    """Return what a commit says; one of another's client says nothing but its offset."""
    told = decode(metadata) or Progress()
    load = None if told.load is None else _load(told.load)
    return Committed(
        offset=offset,
        done=told.done,
        retrying=told.retrying,
        held=told.held,
        load=load,
        stopped=told.stopped and StopSeen(f"{told.stopped.partition}/{told.stopped.letter}", told.stopped.offset),
        waiting_keys=told.sequences.keys if told.sequences else 0,
        origin=told.mark.partition("/")[0],
    )


def _load(told: LoadReport) -> PodLoad | None:
    """Return what a pod tells of itself; None for times that no calendar has, as anybody may commit for a group."""
    try:
        end, since = (datetime.fromtimestamp(seconds, UTC) for seconds in (told.end, told.since))
    except (ValueError, OverflowError, OSError):
        return None
    return PodLoad(
        pod=told.pod,
        end=end,
        seconds=told.window / 1000,
        busy=told.busy / FULL,
        handled=told.handled,
        parked=told.parked,
        throttled=told.circuit == "throttled",
        failed_since=since if told.circuit == "open" else None,
        cause=told.cause,
        idle=told.idle,
    )
