"""What to do about a Snapshot: ask its connector for it, once, and say how far it is.

What is asked is recorded before it is sent; whether it was sent tells the topic itself. It opens no database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from headrace_operator.api.snapshot import SnapshotSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.snapshots import TopicsOfSnapshots
from headrace_operator.observed.value import Absent, Unknown
from headrace_operator.observed.world import SnapshotWorld
from headrace_operator.plan import acceptance, debezium, publication, signals, snapshot_fitness, snapshot_progress
from headrace_operator.plan import snapshot_signals as documents
from headrace_operator.plan.acceptance import Acceptance
from headrace_operator.plan.actions import Action, Plan, SendSignal
from headrace_operator.plan.conditions import (
    Finding,
    dated,
    false,
    instant,
    notes,
    timestamp,
    true,
    unknown,
    with_ready,
)
from headrace_operator.plan.reasons import Reason
from headrace_operator.plan.snapshot_progress import OVER, SENT, Progress
from headrace_operator.settings import Settings

NEEDED = frozenset({"Accepted", "Completed"})

ANSWER = timedelta(minutes=5)
"""How long a connector that runs may take to begin."""

AGAIN = timedelta(seconds=30)
"""After which it is asked once more to rest or to go on, or for what its topic of signals does not have.

What was sent and not acknowledged may come late, and Debezium takes twice what is there twice.
"""

UNSENT = (
    "The topic of signals does not have what its connector is asked by: that is written again each half a minute "
    "while the connector runs."
)

SILENT = timedelta(minutes=10)
"""After which one of which nothing more is told, and which offsets do not name either, is lost."""

SOON, LATER, SELDOM = timedelta(seconds=3), timedelta(seconds=10), timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """How far a snapshot is, what was sent for it, whether that is there, and the next notification to read."""

    progress: Progress
    signal: Mapping[str, Any]
    next: int
    is_sent: bool = True


def is_over(resource: Resource) -> bool:
    """Tell whether nothing more happens to a Snapshot."""
    return resource.status.get("phase") in OVER


def is_sent(resource: Resource) -> bool:
    """Tell whether its connector was asked for it, or is about to be."""
    return resource.status.get("phase") in SENT


def recorded_offsets(resource: Resource) -> tuple[int, int] | None:
    """Return from where on its signals and notifications are; None before it is asked for."""
    signal, heard = (resource.status.get(name) for name in ("signal", "heard"))
    return (int(signal["offset"]), int(heard["next"])) if signal and heard and is_sent(resource) else None


def plan(world: SnapshotWorld, settings: Settings, now: datetime) -> Plan:
    """Return what to tell the connector, and the status."""
    judged = judge(world)
    if is_over(world.resource):
        return _over(world.resource, judged, now)
    if not is_sent(world.resource):
        return _begun(world, judged, now)
    if judged.spec is None:
        return _planned(world.resource, judged, _refused(judged), dict(world.resource.status), now)
    return _followed(world, judged, judged.spec, now)


def judge(world: SnapshotWorld) -> Acceptance[SnapshotSpec]:
    """Return the spec, judged by its Connector until that is asked; after that nothing of it but pausing changes."""
    resource = world.resource
    checks = () if is_sent(resource) or is_over(resource) else snapshot_fitness.checks(world)
    return acceptance.judge(SnapshotSpec, resource, *checks)


def _over(resource: Resource, judged: Acceptance[SnapshotSpec], now: datetime) -> Plan:
    """Keep what became of it."""
    kept = resource.condition("Completed") or {}
    message = str(kept.get("message", ""))
    done = Finding(
        type="Completed",
        status="True" if kept.get("status") == "True" else "False",
        reason=Reason(kept.get("reason", Reason.UNKNOWN)),
        message=message,
    )
    return _planned(resource, judged, done, dict(resource.status), now)


def _begun(world: SnapshotWorld, judged: Acceptance[SnapshotSpec], now: datetime) -> Plan:
    """Ask for it once nothing stands in the way."""
    resource, spec, topics = world.resource, judged.spec, world.topics
    status: dict[str, Any] = {"phase": "Pending", "id": documents.id_of(resource.uid)}
    if spec is None or judged.problem is not None:
        return _planned(resource, judged, _refused(judged), status, now)
    if (waits := _paused(spec) or snapshot_fitness.waits(world)) is not None:
        return _planned(resource, judged, waits, status, now)
    assert isinstance(topics, TopicsOfSnapshots), "else it waits"
    asked = Progress()
    status |= snapshot_progress.status(asked, len(spec.each))
    status["signal"] = {"connector": _uid(world), "offset": topics.signals_end, "since": timestamp(now)}
    status["heard"] = {"next": topics.notifications_end}
    return _planned(resource, judged, _told(asked, spec), status, now, _execute(world, spec))


def _refused(judged: Acceptance[SnapshotSpec]) -> Finding:
    return false("Completed", judged.finding.reason, judged.finding.message)


def _paused(spec: SnapshotSpec) -> Finding | None:
    text = "It begins once spec.paused is false."
    return false("Completed", Reason.PAUSED, text) if spec.paused else None


def _uid(world: SnapshotWorld) -> str:
    return world.connector.uid if isinstance(world.connector, Resource) else ""


def _followed(world: SnapshotWorld, judged: Acceptance[SnapshotSpec], spec: SnapshotSpec, now: datetime) -> Plan:
    """Say how far it is by what its connector has told since, and ask for what that shows to be missing."""
    resource, topics = world.resource, world.topics
    signal = dict(resource.status.get("signal") or {})
    if (gone := _gone(world, signal)) is not None:
        lost = snapshot_progress.recorded(resource.status).failed(Reason.SNAPSHOT_LOST, gone, now)
        return _progressed(resource, judged, spec, Heard(progress=lost, signal=signal, next=_next(resource)), now)
    if not isinstance(topics, TopicsOfSnapshots):
        why = topics.reason if isinstance(topics, Unknown) else "Its Connector is not known to be told of snapshots."
        dark = unknown("Completed", Reason.UNKNOWN, why)
        return _planned(resource, judged, dark, dict(resource.status), now)
    heard = _once_more(world, spec, _heard(world, spec, signal, topics, now), topics, now)
    missing = _missing(world, spec, heard, now)
    if missing is None:
        return _progressed(resource, judged, spec, heard, now)
    asked = dataclasses.replace(heard, signal={**heard.signal, **missing[1]})
    return _progressed(resource, judged, spec, asked, now, missing[0])


def _heard(
    world: SnapshotWorld, spec: SnapshotSpec, signal: Mapping[str, Any], topics: TopicsOfSnapshots, now: datetime
) -> Heard:
    """Return how far it is after what was told."""
    before, name = snapshot_progress.recorded(world.resource.status), documents.id_of(world.resource.uid)
    after = snapshot_progress.followed(before, topics.notifications, name, spec.each, blocks=spec.blocks)
    since = _since(signal, after, now, runs=snapshot_fitness.runs(world.connector))
    counted = {**signal, "since": since}
    is_there = topics.signals is None or (name, documents.EXECUTE) in topics.signals
    is_sent = is_there or after.phase != "Requested" or instant(since) == now
    overdue = _overdue(world, after, counted, now) if is_sent else None
    return Heard(progress=overdue or after, signal=counted, next=topics.read, is_sent=is_sent)


def _once_more(
    world: SnapshotWorld, spec: SnapshotSpec, heard: Heard, topics: TopicsOfSnapshots, now: datetime
) -> Heard:
    """Have what is captured and was strange to the connector asked for once more, as what was not sent is.

    A task that runs its former configuration for another moment reads signals, too, and Kafka Connect says nothing of
    which one a task runs.
    """
    tables = snapshot_progress.strange(heard.progress, spec.each)
    if not tables or heard.signal.get("again") or not snapshot_fitness.captures_all(world, tables):
        return heard
    signal = {"connector": _uid(world), "offset": topics.signals_end, "since": timestamp(now), "again": True}
    progress = snapshot_progress.anew(heard.progress, tables)
    return dataclasses.replace(heard, progress=progress, signal=signal, is_sent=False)


def _next(resource: Resource) -> int:
    return int((resource.status.get("heard") or {}).get("next", 0))


def _gone(world: SnapshotWorld, signal: Mapping[str, Any]) -> str | None:
    """Say that its Connector is not there any more, or is another one of its name."""
    is_other = isinstance(world.connector, Resource) and world.connector.uid != signal.get("connector")
    if isinstance(world.connector, Absent) or is_other:
        return "Its Connector was deleted, and the snapshot with it. Rows that came stay."
    return None


def _since(signal: Mapping[str, Any], progress: Progress, now: datetime, *, runs: bool) -> str | None:
    """Return since when a connector that runs has not begun; it is not counted while it does not run."""
    if progress.phase != "Requested" or not runs:
        return None
    since = signal.get("since")
    return str(since) if since else timestamp(now)


def _overdue(world: SnapshotWorld, progress: Progress, signal: Mapping[str, Any], now: datetime) -> Progress | None:
    """Return it as failed where nothing can be expected of it any more."""
    since = instant(signal.get("since"))
    if progress.phase == "Requested" and since is not None and now - since > ANSWER:
        return progress.failed(Reason.NO_ANSWER, _unanswered(world), now)
    names = world.connector.status.get("snapshot") if isinstance(world.connector, Resource) else None
    silent = progress.told is not None and now - progress.told > SILENT
    is_ours = names == documents.id_of(world.resource.uid)
    if progress.phase != "Running" or not silent or is_ours or not snapshot_fitness.runs(world.connector):
        return None
    if _blocks(world.resource):
        return None
    text = (
        "Nothing was told of it for ten minutes, and the connector's offsets do not name it: it was lost, as when a "
        "worker ends before the first rows are written. Rows that came stay; make another Snapshot."
    )
    return progress.failed(Reason.SNAPSHOT_LOST, text, now)


def _blocks(resource: Resource) -> bool:
    return resource.spec.get("type") == "Blocking"


def _unanswered(world: SnapshotWorld) -> str:
    prefix = str(world.connector.status.get("topicPrefix")) if isinstance(world.connector, Resource) else ""
    return (
        f"The connector runs and did not begin within {ANSWER.seconds // 60} minutes. See whether its login may read "
        f"topic {signals.signals_topic(prefix)} and write {signals.notifications_topic(prefix)}, whether a transform "
        "of spec.config leads notifications elsewhere, and what the log of the workers says of signal "
        f"{documents.id_of(world.resource.uid)}. Then make another Snapshot."
    )


def _missing(
    world: SnapshotWorld, spec: SnapshotSpec, heard: Heard, now: datetime
) -> tuple[Action, dict[str, Any]] | None:
    """Return what is to be sent now, and what to record of it: what was not sent yet, or whether it is to rest."""
    name, progress, signal = documents.id_of(world.resource.uid), heard.progress, heard.signal
    if not heard.is_sent:
        since = instant(signal.get("since"))
        is_due = since is not None and now - since >= AGAIN
        return (_execute(world, spec, frozenset(progress.tables)), {"since": timestamp(now)}) if is_due else None
    wanted = {("Running", True): "Pause", ("Paused", False): "Resume"}.get((progress.phase, bool(spec.paused)))
    at = instant(signal.get("askedAt")) if signal.get("asked") == wanted else None
    rests = progress.paused is not None and now - progress.paused < snapshot_progress.LATE
    if wanted is None or (at is not None and now - at < AGAIN) or (wanted == "Resume" and rests):
        return None
    value = documents.about(name, documents.PAUSE if wanted == "Pause" else documents.RESUME)
    return _send(world, value), {"asked": wanted, "askedAt": timestamp(now)}


def _execute(world: SnapshotWorld, spec: SnapshotSpec, done: frozenset[str] = frozenset()) -> Action:
    """Ask for the tables that are not ``done``."""
    return _send(world, documents.execute(documents.id_of(world.resource.uid), spec, done))


def _send(world: SnapshotWorld, value: str) -> Action:
    connector, kafka = world.connector, world.kafka
    assert isinstance(connector, Resource)
    assert isinstance(kafka, Resource)
    spec = publication.accepted(connector)
    prefix = debezium.prefix(connector, spec) if spec else str(connector.status["topicPrefix"])
    topic = signals.signals_topic(prefix)
    return SendSignal(namespace=connector.namespace, kafka=kafka.name, topic=topic, key=prefix, value=value)


def _progressed(
    resource: Resource,
    judged: Acceptance[SnapshotSpec],
    spec: SnapshotSpec,
    heard: Heard,
    now: datetime,
    *actions: Action,
) -> Plan:
    progress = heard.progress
    status = {"id": documents.id_of(resource.uid), **snapshot_progress.status(progress, len(spec.each))}
    signal = {**heard.signal, "pausedAt": progress.paused and timestamp(progress.paused)}
    status["signal"] = {name: value for name, value in signal.items() if value is not None}
    status["heard"] = {"next": heard.next, **({"at": timestamp(progress.told)} if progress.told else {})}
    finding = _told(progress, spec) if heard.is_sent else unknown("Completed", Reason.UNKNOWN, UNSENT)
    return _planned(resource, judged, finding, status, now, *actions)


def _told(progress: Progress, spec: SnapshotSpec) -> Finding:
    """Return the condition `Completed`."""
    done = f"{len(progress.tables)} of {len(spec.each)} tables are read, with {progress.rows} rows"
    match progress.phase:
        case "Completed":
            return true("Completed", Reason.SNAPSHOT_COMPLETED, f"The snapshot is completed: {progress.rows} rows.")
        case "Failed":
            reason, sentence = progress.why or (Reason.UNKNOWN, "It failed.")
            return false("Completed", reason, sentence)
        case "Paused":
            return false("Completed", Reason.PAUSED, f"It rests until spec.paused is false: {done}.")
        case "Running":
            return false("Completed", Reason.SNAPSHOT_RUNNING, f"{done[0].upper()}{done[1:]}.")
        case _:
            text = "The connector was asked for it, and has not begun yet."
            return false("Completed", Reason.SNAPSHOT_REQUESTED, text)


def _planned(
    resource: Resource,
    judged: Acceptance[SnapshotSpec],
    completed: Finding,
    status: Mapping[str, Any],
    now: datetime,
    *actions: Action,
) -> Plan:
    phase = status.get("phase")
    failed = true("Stalled", completed.reason, completed.message) if phase == "Failed" else None
    found = with_ready([judged.finding, completed], NEEDED, judged.stalled or failed)
    if completed.status == "True" and found[0].status == "True":
        found[0] = dataclasses.replace(found[0], reason=completed.reason, message=completed.message)
    previous = resource.status.get("conditions") or []
    conditions = dated(found, previous, resource.generation, now)
    known = {"observedGeneration": resource.generation, "accepted": judged.accepted, "conditions": conditions}
    again = SELDOM if phase in OVER else SOON if phase in SENT else LATER
    return Plan(actions=actions, status={**status, **known}, notes=notes(previous, conditions), look_again=again)
