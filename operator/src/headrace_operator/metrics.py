"""What the operator tells Prometheus: the state of each resource as last seen, and what the operator itself does.

Series follow from the last status of each resource, so that a resource that is gone leaves none behind, and what is
not known has no series: it is never told as zero.
"""

from __future__ import annotations

import dataclasses
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from headrace import names
from headrace_operator.api.kinds import KINDS
from headrace_operator.clients.measured import REQUESTS
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import backlog, pipeline, snapshot_progress, sources
from headrace_operator.scaling.terms import Limits

INTERVALS = (1.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between looks that are told apart: a Consumer is looked at every 5, whatever is well every 60 at least."""

WHERE = ("resource_namespace", "pipeline")
CONNECTOR, CONSUMER, SNAPSHOT = "connector", "consumer", "snapshot"
PARTITION = (CONSUMER, "group", "topic", "partition", "role")
SCALING = {
    "desired": ("desired_replicas", "Replicas that the last decision wants."),
    "arrivalsPerSecond": ("arrivals_messages_per_second", "Records that arrive, as the last decision saw them."),
    "handledPerSecond": ("handled_messages_per_second", "Records that are handled, as the last decision saw them."),
    "capacityPerReplica": ("capacity_messages_per_second", "Records that one busy replica handles, as learnt."),
}
"""A field of `status.scaling`: the metric it becomes, after `headrace_autoscaler_`, and what that means."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A resource as last seen: ``restarts`` were recorded since this process began, ``connector`` is a Snapshot's."""

    resource: Resource
    status: Mapping[str, Any]
    backlog: BacklogSeen | None
    restarts: int
    connector: Resource | None = None

    @property
    def where(self) -> list[str]:
        """Return namespace and pipeline; what pipelines share has none."""
        return [self.resource.namespace, self._pipeline()]

    @property
    def named(self) -> list[str]:
        """Return namespace, pipeline and name."""
        return [*self.where, self.resource.name]

    def _pipeline(self) -> str:
        match self.resource.kind:
            case "Connector" | "OutboxRelay":
                return pipeline.of_itself(self.resource)
            case "Snapshot":
                own = self.resource.labels.get(pipeline.LABEL)
                return own or (pipeline.of_itself(self.connector) if self.connector else self.resource.name)
            case "Consumer":
                return str(self.status.get("pipeline") or self.resource.name)
            case _:
                return self.resource.labels.get(pipeline.LABEL, "")


class Fleet(Collector):
    """The resources as last seen, and counts of what was done about them.

    Of resources nothing is told unless ``looks`` says that this process looks at them: one that stands by, or led
    before, would tell what is no longer so beside the one that leads.
    """

    def __init__(self, looks: Callable[[], bool] = lambda: True) -> None:
        self._looks = looks
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._seen: dict[tuple[str, str, str], Seen] = {}
        self.registry.register(self)
        self.registry.register(REQUESTS)
        ProcessCollector(registry=self.registry)
        self._passes = Counter(
            "headrace_operator_reconciliations", "Passes over a resource.", ("kind", "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "headrace_operator_reconciliation_duration_seconds", "Length of a pass.", ("kind",), registry=self.registry
        )
        self._intervals = Histogram(
            "headrace_operator_reconciliation_interval_seconds",
            "Time from one pass over a resource to the next.",
            ("kind",),
            buckets=INTERVALS,
            registry=self.registry,
        )
        for kind in KINDS:
            self._seconds.labels(kind.name)
            self._intervals.labels(kind.name)
            for outcome in ("ok", "failed", "bug"):
                self._passes.labels(kind.name, outcome)
        build = Gauge("headrace_build_info", "Version of the operator.", ("version",), registry=self.registry)
        build.labels(version("headrace-operator")).set(1)

    def record(self, resource: Resource, status: Mapping[str, Any], backlog: BacklogSeen | None) -> None:
        """Remember what was seen of ``resource``: ``resource.status`` before this pass, ``status`` after it."""
        key = (resource.kind, resource.namespace, resource.name)
        before = self._seen.get(key)
        restarts = 0 if before is None else before.restarts + _restarted(before.resource, resource)
        self._seen[key] = Seen(resource=resource, status=status, backlog=backlog, restarts=restarts)

    def forget(self, kind: str, namespace: str, name: str) -> None:
        """Forget a resource that is gone."""
        self._seen.pop((kind, namespace, name), None)

    def pass_ended(self, kind: str, outcome: str, seconds: float) -> None:
        """Count one pass."""
        self._passes.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def looked_again(self, kind: str, seconds: float) -> None:
        """Note that a pass began ``seconds`` after the one before over the same resource."""
        self._intervals.labels(kind).observe(seconds)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Offer a gauge that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def collect(self) -> Iterator[Metric]:
        """Yield the series of every resource."""
        seen = list(map(self._beside, self._seen.values())) if self._looks() else []
        connectors = [one for one in seen if one.resource.kind == "Connector"]
        consumers = [one for one in seen if one.resource.kind == "Consumer"]
        yield _conditions(seen)
        yield from _connectors(connectors)
        yield from _replicas(consumers)
        yield from _scaling(consumers)
        yield from _dead_letters(consumers)
        yield from _backlogs(consumers)
        yield from _snapshots(one for one in seen if one.resource.kind == "Snapshot")

    def _beside(self, one: Seen) -> Seen:
        if one.resource.kind != "Snapshot":
            return one
        found = self._seen.get(("Connector", one.resource.namespace, str(one.resource.spec.get("connector"))))
        return dataclasses.replace(one, connector=found.resource) if found else one


def _restarted(before: Resource, after: Resource) -> int:
    """Return how many restarts were recorded between two readings; well again, a connector's count begins anew."""
    then, now = (int((one.status.get("restarts") or {}).get("attempts", 0)) for one in (before, after))
    return max(0, now - then)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"headrace_{name}", text, labels=(*WHERE, *labels))


def _conditions(seen: Iterable[Seen]) -> Metric:
    family = _family("resource_condition", "1 for the status of a condition.", "kind", "name", "condition", "status")
    for one in seen:
        for found in one.status.get("conditions") or ():
            labels = [*one.where, one.resource.kind, one.resource.name, found["type"], found["status"]]
            family.add_metric(labels, 1)
    return family


def _connectors(seen: Iterable[Seen]) -> Iterator[Metric]:
    state = _family("connector_state", "1 for the state of a connector.", CONNECTOR, "state")
    tasks = _family("connector_tasks", "Tasks of a connector by state.", CONNECTOR, "state")
    restarts = CounterMetricFamily(
        "headrace_connector_restarts", "Restarts of failed tasks by the operator.", labels=(*WHERE, CONNECTOR)
    )
    for one in seen:
        restarts.add_metric(one.named, one.restarts)
        if one.status.get("state"):
            state.add_metric([*one.named, one.status["state"]], 1)
        if one.status.get("tasks") is not None:
            states = Tally(task["state"] for task in one.status["tasks"])
            for name in sorted({"RUNNING", "FAILED", *states}):
                tasks.add_metric([*one.named, name], states[name])
    return iter((state, tasks, restarts))


def _replicas(seen: Iterable[Seen]) -> Iterator[Metric]:
    wanted = _family("consumer_desired_replicas", "Replicas that the Deployment wants.", CONSUMER)
    ready = _family("consumer_ready_replicas", "Replicas that are ready.", CONSUMER)
    least = _family("consumer_min_replicas", "Fewest replicas allowed.", CONSUMER)
    most = _family("consumer_max_replicas", "Most replicas that can have work: scale.max or partitions.", CONSUMER)
    promise = _family("consumer_slo_lag_seconds", "Seconds that a record should wait at most.", CONSUMER)
    for one in seen:
        wanted.add_metric(one.named, one.status.get("replicas") or 0)
        ready.add_metric(one.named, one.status.get("readyReplicas") or 0)
        if allowed := _allowed(one):
            least.add_metric(one.named, allowed.min)
            most.add_metric(one.named, allowed.ceiling)
            promise.add_metric(one.named, allowed.target_seconds)
    return iter((wanted, ready, least, most, promise))


def _allowed(one: Seen) -> Limits | None:
    spec = sources.judge(one.resource).spec
    if spec is None:
        return None
    partitions = Tally(part.topic for part in one.backlog.partitions) if one.backlog else {}
    return backlog.limits(spec, max(partitions.values(), default=None))


def _scaling(seen: Iterable[Seen]) -> Iterator[Metric]:
    reason = _family("autoscaler_reason", "1 for the reason of the last decision.", CONSUMER, "reason")
    terms = {field: _family(f"autoscaler_{name}", text, CONSUMER) for field, (name, text) in SCALING.items()}
    for one in seen:
        decision = one.status.get("scaling") or {}
        if "reason" in decision:
            reason.add_metric([*one.named, decision["reason"]], 1)
        for field, family in terms.items():
            if decision.get(field) is not None:
                family.add_metric(one.named, decision[field])
    return iter((reason, *terms.values()))


def _dead_letters(seen: Iterable[Seen]) -> Iterator[Metric]:
    held = _family("dlq_messages", "Dead letters that the topic holds, redriven ones too.", CONSUMER)
    outstanding = _family("dlq_outstanding_messages", "Dead letters without a resolution.", CONSUMER)
    for one in seen:
        counts = one.status.get("deadLetters") or {}
        if counts.get("total") is not None:
            held.add_metric(one.named, counts["total"])
        if counts.get("outstanding") is not None:
            outstanding.add_metric(one.named, counts["outstanding"])
    return iter((held, outstanding))


def _backlogs(seen: Iterable[Seen]) -> Iterator[Metric]:
    end = _family("consumer_end_offset", "Next offset to be written.", *PARTITION)
    committed = _family("consumer_committed_offset", "Next offset to be handled.", *PARTITION)
    lag = _family("consumer_lag_messages", "Records not handled yet.", *PARTITION)
    age = _family("consumer_lag_seconds", "Age of the oldest record not handled.", *PARTITION)
    for one in seen:
        for part in one.backlog.partitions if one.backlog else ():
            where = _partition(one, part)
            found = ((end, part.end), (lag, part.told_lag), (committed, part.committed), (age, part.lag_seconds))
            for family, value in found:
                if value is not None:
                    family.samples.append(Sample(family.name, where, value))
    return iter((end, committed, lag, age))


def _snapshots(seen: Iterable[Seen]) -> Iterator[Metric]:
    phase = _family("snapshot_phase", "1 for the phase of a Snapshot.", CONNECTOR, SNAPSHOT, "phase")
    rows = _family("snapshot_rows", "Rows of the tables that a Snapshot has read.", CONNECTOR, SNAPSHOT)
    told = _family(
        "snapshot_told_timestamp_seconds",
        "When the connector told of an incremental Snapshot last that is asked for and does not rest.",
        *(CONNECTOR, SNAPSHOT),
    )
    for one in seen:
        where = [*one.where, str(one.resource.spec.get("connector")), one.resource.name]
        if one.status.get("phase"):
            phase.add_metric([*where, one.status["phase"]], 1)
        if one.status.get("rows") is not None:
            rows.add_metric(where, one.status["rows"])
        if (at := snapshot_progress.awaited_since(one.resource.spec, one.status)) is not None:
            told.add_metric(where, at.timestamp())
    return iter((phase, rows, told))


def _partition(one: Seen, part: PartitionSeen) -> dict[str, str]:
    """Return the labels of a partition, which its series have in common: there may be a hundred thousand of them."""
    at = (one.resource.place, one.resource.name)
    role = "retry" if part.topic == names.retry_topic(*at) else "source"
    values = [*one.named, names.group(*at), part.topic, str(part.partition), role]
    return dict(zip((*WHERE, *PARTITION), values, strict=True))
