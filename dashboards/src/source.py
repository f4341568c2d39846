"""The row about what is captured. Connectors are as the operator sees them, the rest is Debezium's own page.

Debezium's series know no pipeline, so that those of the whole namespace are shown. What a replication slot retains is
not among them: Debezium does not measure it.
"""

from __future__ import annotations

from dashboards.src.panels import Panel, Row
from dashboards.src.promql import CONNECTOR, ONLY, SNAPSHOT, C, S, count, most, rate

QUEUE = (
    f"1 - {most(C, 'headrace_debezium_queue_remaining', ONLY)} / {most(C, 'headrace_debezium_queue_capacity', ONLY)}"
)


def rows() -> tuple[Row, ...]:
    """Return the rows, worst first."""
    return (
        Row(
            title="Capture: does it come in?",
            panels=(*_connectors(), *_changes(), *_session(), *_snapshots()),
            across=4,
        ),
    )


def _connectors() -> tuple[Panel, ...]:
    return (
        Panel(
            title="State of connectors",
            about="RUNNING is good, PAUSED and STOPPED as the spec says. FAILED: `kubectl describe hrconn NAME` shows"
            " the trace. A gap means that Connect was not reached.",
            unit="short",
            queries={f"{CONNECTOR}: {{{{state}}}}": most(f"{C}, state", "headrace_connector_state")},
            shape="states",
        ),
        Panel(
            title="Tasks by state",
            about="All RUNNING is good. A failed task captures nothing, and the database keeps its log for it.",
            unit="short",
            queries={f"{CONNECTOR} {{{{state}}}}": most(f"{C}, state", "headrace_connector_tasks")},
        ),
        Panel(
            title="Restarts",
            about="None is good. Failed tasks that the operator restarted; when they repeat, the cause is not gone.",
            unit="short",
            queries={CONNECTOR: count(C, "headrace_connector_restarts_total")},
            shape="bars",
        ),
        Panel(
            title="Errors in tasks",
            about="None is good. Records that a task failed on, skipped or tried again, and changes that Debezium could"
            " not read: see the log of the Connect workers.",
            unit="short",
            queries={
                f"{CONNECTOR} {{{{outcome}}}}": count(f"{C}, outcome", "headrace_connect_task_errors_total", ONLY),
                f"{CONNECTOR} not read": count(C, "headrace_debezium_source_erroneous_events_total", ONLY),
            },
            shape="bars",
        ),
    )


def _changes() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Behind the database",
            about="From a change's commit until Debezium read it. Below a few seconds is good. Keeps its last value"
            " while nothing changes: read it beside Since the last change.",
            unit="s",
            queries={CONNECTOR: most(C, "headrace_debezium_source_lag_seconds", ONLY)},
        ),
        Panel(
            title="Since the last change",
            about="Age of the last change that Debezium read. Small is good where the database is busy; on a quiet one"
            " it grows, too. Else look at Connected, and at pg_replication_slots in the database.",
            unit="s",
            queries={CONNECTOR: most(C, "headrace_debezium_last_event_age_seconds", ONLY)},
        ),
        Panel(
            title="Captured changes",
            about="Changes a second that Debezium read. As the database's own load is good.",
            unit="ops",
            queries={CONNECTOR: rate(C, "headrace_debezium_source_events_total", ONLY)},
        ),
        Panel(
            title="Written to Kafka",
            about="Records a second. As Captured changes is good, less what transforms and filters leave out.",
            unit="ops",
            queries={CONNECTOR: rate(C, "headrace_connect_task_records_total", f'step="write", {ONLY}')},
        ),
    )


def _session() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Connected",
            about="A bar without gaps is good: Debezium holds its session with the database.",
            unit="short",
            queries={CONNECTOR: f"{most(C, 'headrace_debezium_source_connected', ONLY)} == 1"},
            shape="states",
        ),
        Panel(
            title="Queue filled",
            about="Debezium's queue to Kafka. Low is good; full means that Kafka or the workers are the slow part.",
            unit="percentunit",
            queries={CONNECTOR: QUEUE},
            bad_from=0.9,
        ),
        Panel(
            title="Snapshot: tables left",
            about="Falling to 0 is good. Nothing is shown where no snapshot ran since the task began.",
            unit="short",
            queries={CONNECTOR: most(C, "headrace_debezium_snapshot_tables_remaining", ONLY)},
        ),
        Panel(
            title="Snapshot: rows read",
            about="Rows a second. Nothing is good once the first snapshot is done; nothing with tables left means that"
            " it stands still: look for locks in the database.",
            unit="ops",
            queries={CONNECTOR: rate(C, "headrace_debezium_snapshot_rows_total", ONLY)},
        ),
    )


def _snapshots() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Snapshots by phase",
            about="Completed is good, Pending, Requested and Running are on their way. Failed: `kubectl describe hrsnap"
            " NAME` says why, in Debezium's word where it has one.",
            unit="short",
            queries={f"{SNAPSHOT}: {{{{phase}}}}": most(f"{S}, phase", "headrace_snapshot_phase")},
            shape="states",
        ),
        Panel(
            title="Snapshots: rows of tables that are read",
            about="Steps up with each table that is read; a table of no rows is good, too, where none matches.",
            unit="short",
            queries={SNAPSHOT: most(S, "headrace_snapshot_rows")},
        ),
        Panel(
            title="Snapshots: since the last word",
            about="Below a minute is good: an incremental one tells of each piece that is read. None is shown of what"
            " rests, is over, or blocks: of that see Snapshot: rows read.",
            unit="s",
            queries={SNAPSHOT: f"time() - {most(S, 'headrace_snapshot_told_timestamp_seconds')}"},
            bad_from=300,
        ),
    )
