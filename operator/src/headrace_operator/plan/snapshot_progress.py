"""How far a snapshot is, by what its connector tells of it: one notification after another. Pure.

Source: Debezium's `IncrementalSnapshotNotificationService`, which names a snapshot by the id of its signal, and
`InitialSnapshotNotificationService`, which names a blocking one by nothing: it is the next that begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from headrace_operator.observed.snapshots import Notification
from headrace_operator.plan.conditions import instant, timestamp
from headrace_operator.plan.reasons import Reason

Phase = Literal["Pending", "Requested", "Running", "Paused", "Completed", "Failed"]
SENT = frozenset({"Requested", "Running", "Paused"})
"""Phases of a snapshot that its connector was asked for, or is about to be."""

OVER = frozenset({"Completed", "Failed"})
"""Phases in which nothing more happens."""

INCREMENTAL, BLOCKING = "Incremental Snapshot", "Initial Snapshot"
READ = frozenset({"SUCCEEDED", "EMPTY"})
"""What becomes of a table whose rows are all there."""

STRANGE = "UNKNOWN_SCHEMA"
"""What becomes of a table that the connector does not know."""

LATE = timedelta(seconds=10)
"""After a pause a piece may still come that was being read; who goes on before that reads beside it, and skips rows.

Debezium goes on in the thread of signals, whatever that of changes is at.
"""

MEANT = {
    "NO_PRIMARY_KEY": "it has no primary key: make a Snapshot with type: Blocking",
    "SQL_EXCEPTION": (
        "the database refused the query, as for a filter that is no SQL, or a right that is missing, or ended the "
        "connection"
    ),
    STRANGE: "it was dropped, or is captured no more",
}
"""What Debezium's words for a table that was not read mean, as they were seen."""

STOPPED = (
    "Debezium says ABORTED: the snapshot was stopped, or an error ended it, as of a blocking one a filter that is no "
    "SQL, or a table that was dropped; the log of the workers tells which. Rows that came stay; make another Snapshot "
    "to read the rest."
)
RESTARTED = (
    "The connector was restarted meanwhile, and a blocking snapshot does not outlive that. Rows that came stay; make "
    "another Snapshot."
)


@dataclass(frozen=True, kw_only=True)
class Read:
    """What became of a table, and how many rows of it were read, None where that is not told."""

    result: str
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a snapshot is; one that failed says ``why`` by a reason and a sentence."""

    phase: Phase = "Requested"
    tables: Mapping[str, Read] = field(default_factory=dict)
    started: datetime | None = None
    ended: datetime | None = None
    told: datetime | None = None
    paused: datetime | None = None
    why: tuple[Reason, str] | None = None

    @property
    def rows(self) -> int:
        """Rows of the tables that are read."""
        return sum(one.rows or 0 for one in self.tables.values())

    def failed(self, reason: Reason, sentence: str, at: datetime) -> Progress:
        """Return it as failed."""
        return dataclasses.replace(self, phase="Failed", ended=at, why=(reason, sentence))


def recorded(status: Mapping[str, Any]) -> Progress:
    """Return what a status says of a snapshot that was asked for."""
    signal = status.get("signal") or {}
    tables = {one["name"]: Read(result=one["result"], rows=one.get("rows")) for one in status.get("tables") or ()}
    return Progress(
        phase=status.get("phase") or "Requested",
        tables=tables,
        started=instant(status.get("startedAt")),
        ended=instant(status.get("completedAt")),
        told=instant((status.get("heard") or {}).get("at")),
        paused=instant(signal.get("pausedAt")),
    )


def status(progress: Progress, tables: int) -> dict[str, Any]:
    """Return what a status says of it, of so many ``tables``."""
    read = [
        {"name": name, "result": one.result, **({} if one.rows is None else {"rows": one.rows})}
        for name, one in progress.tables.items()
    ]
    return {
        "phase": progress.phase,
        "tables": read or None,
        "tablesDone": f"{min(len(read), tables)}/{tables}",
        "rows": progress.rows,
        "startedAt": progress.started and timestamp(progress.started),
        "completedAt": progress.ended and timestamp(progress.ended),
    }


def awaited_since(spec: Mapping[str, Any], status: Mapping[str, Any]) -> datetime | None:
    """Return since when the next word of a snapshot is awaited; None where none is, or where it may well take long.

    Of a blocking one nothing is told while a table is read.
    """
    phase, signal = status.get("phase"), status.get("signal") or {}
    if spec.get("type") == "Blocking" or phase not in ("Requested", "Running"):
        return None
    return instant((status.get("heard") or {}).get("at") if phase == "Running" else signal.get("since"))


def followed(
    progress: Progress, told: Iterable[Notification], id: str, tables: tuple[str, ...], *, blocks: bool
) -> Progress:
    """Return how far a snapshot of ``tables`` is after what was ``told``; of others nothing is taken."""
    for one in told:
        ours = one.about == BLOCKING if blocks else (one.about, one.id) == (INCREMENTAL, id)
        if ours and progress.ended is None:
            progress = _blocking(progress, one, tables) if blocks else _incremental(progress, one, tables)
    return progress


def strange(progress: Progress, tables: tuple[str, ...]) -> tuple[str, ...]:
    """Return of which ``tables`` a connector that is done knew nothing: it may have run its former configuration."""
    if progress.why is None or progress.why[0] is not Reason.TABLE_NOT_READ:
        return ()
    read = progress.tables
    return tuple(name for name in tables if name not in read or read[name].result == STRANGE)


def anew(progress: Progress, tables: tuple[str, ...]) -> Progress:
    """Return it as asked for once more, for ``tables`` of it; what became of the others stays."""
    return Progress(tables={name: read for name, read in progress.tables.items() if name not in tables})


def _incremental(progress: Progress, one: Notification, tables: tuple[str, ...]) -> Progress:
    begun = dataclasses.replace(progress, started=progress.started or one.at, told=one.at)
    match one.event:
        case "PAUSED":
            return dataclasses.replace(begun, phase="Paused", paused=one.at)
        case "STARTED" | "RESUMED":
            return dataclasses.replace(begun, phase="Running", paused=None)
        case "IN_PROGRESS":
            return _going_on(begun, one)
        case "TABLE_SCAN_COMPLETED":
            return _with_table(_going_on(begun, one), one)
        case "COMPLETED":
            return _completed(begun, one, tables)
        case "ABORTED":
            return begun.failed(Reason.SNAPSHOT_STOPPED, STOPPED, one.at)
        case _:
            return begun


def _blocking(progress: Progress, one: Notification, tables: tuple[str, ...]) -> Progress:
    """Return how far it is; of one that has not begun only its beginning is taken."""
    if progress.started is None:
        begins = dataclasses.replace(progress, phase="Running", started=one.at, told=one.at)
        return begins if one.event == "STARTED" else progress
    begun = dataclasses.replace(progress, told=one.at)
    match one.event:
        case "TABLE_SCAN_COMPLETED":
            return _with_table(begun, one)
        case "COMPLETED":
            return _completed(begun, one, tables)
        case "ABORTED":
            return begun.failed(Reason.SNAPSHOT_STOPPED, STOPPED, one.at)
        case "SKIPPED":
            return begun.failed(Reason.SNAPSHOT_LOST, RESTARTED, one.at)
        case _:
            return begun


def _going_on(progress: Progress, one: Notification) -> Progress:
    """Return it as running: a connector that is restarted forgets that its snapshot rests."""
    if progress.paused is not None and one.at <= progress.paused + LATE:
        return progress
    return dataclasses.replace(progress, phase="Running", paused=None)


def _with_table(progress: Progress, one: Notification) -> Progress:
    rows = one.data.get("total_rows_scanned", "")
    read = Read(result=one.data.get("status", "SUCCEEDED"), rows=int(rows) if rows.isdecimal() else None)
    return dataclasses.replace(progress, tables={**progress.tables, one.data.get("scanned_collection", "?"): read})


def _completed(progress: Progress, one: Notification, tables: tuple[str, ...]) -> Progress:
    wrong = [f"{name} {read.result}" for name, read in progress.tables.items() if read.result not in READ]
    missing = [name for name in tables if name not in progress.tables]
    if wrong or missing:
        said = [f"Debezium says of {' and of '.join(wrong)}"] if wrong else []
        said += [meant for word, meant in MEANT.items() if any(one.endswith(f" {word}") for one in wrong)]
        said += [f"nothing was told of {', '.join(missing)}"] if missing else []
        text = f"Not every table was read: {'; '.join(said)}. The log of the workers tells why; rows that came stay."
        return progress.failed(Reason.TABLE_NOT_READ, text, one.at)
    return dataclasses.replace(progress, phase="Completed", ended=one.at)
