"""The alerts about Snapshots, which nothing else looks after: one that ended in failure, and one that stands still.

While its connector does not run, or fails, that has an alert of its own.
"""

from __future__ import annotations

from dashboards.src.alert import KUBECTL, NAMESPACE, Alert
from dashboards.src.series import risen, told

SNAPSHOT = f"{NAMESPACE}, pipeline, connector, snapshot"
OBJECT = "Snapshot {{ $labels.resource_namespace }}/{{ $labels.snapshot }}"
TOLD = "headrace_snapshot_told_timestamp_seconds"
FAILED = told('headrace_snapshot_phase{phase="Failed"}')
RECORDS = {
    "headrace:snapshot_failed": f"max by ({SNAPSHOT}) ({FAILED})",
    "headrace:snapshot_told": f"max by ({SNAPSHOT}) ({told(TOLD)})",
}
"""What the alerts rest on, which the operator's own state decides with them."""

CONNECTOR_NOT_READY = 'label_replace(headrace:resource_not_ready{kind="Connector"}, "connector", "$1", "name", "(.*)")'
STANDS_STILL = (
    f"headrace:snapshot_told unless on ({SNAPSHOT}) ({risen(TOLD, SNAPSHOT, '4m')})"
    f" and on ({NAMESPACE}, connector) headrace:connector_runs"
    f" unless on ({NAMESPACE}, connector) {CONNECTOR_NOT_READY}"
)
SNAPSHOTS = (
    Alert(
        name="HeadraceSnapshotFailed",
        expr="headrace:snapshot_failed > 0",
        after="5m",
        severity="warning",
        summary="A Snapshot failed, so that rows of its tables were not read.",
        description=f"{OBJECT} of Connector {{{{ $labels.connector }}}} failed; rows that came stay, the others are"
        " missing. It is told until the Snapshot is deleted.",
        next=f"{KUBECTL} describe hrsnap {{{{ $labels.snapshot }}}}",
    ),
    Alert(
        name="HeadraceSnapshotStandsStill",
        expr=STANDS_STILL,
        after="15m",
        severity="warning",
        summary="A Snapshot is under way, and its connector tells nothing of it.",
        description=f"Nothing was told of {OBJECT} for 15 minutes, though Connector {{{{ $labels.connector }}}} runs"
        " and the Snapshot does not rest.",
        next=f"{KUBECTL} describe hrsnap {{{{ $labels.snapshot }}}}",
    ),
)
