"""What the operator tells Prometheus: the state of each resource as last seen, and what the operator itself does.

Series follow from the last status of each resource, so that a resource that is gone leaves none behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace import names
from headrace_operator.observed.kafka import BacklogSeen, PartitionSeen
from headrace_operator.observed.kube import Resource

PIPELINE = "headrace.dev/pipeline"
WHERE = ("resource_namespace", "pipeline")

Seen = tuple[Resource, Mapping[str, Any], BacklogSeen | None]


class Fleet(Collector):
    """The resources as last seen, and counts of what was done about them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seen: dict[tuple[str, str, str], Seen] = {}
        self.registry.register(self)
        self._passes = Counter(
            "headrace_operator_reconciliations", "Passes over a resource.", ("kind", "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "headrace_operator_reconciliation_duration_seconds", "Length of a pass.", ("kind",), registry=self.registry
        )
        build = Gauge("headrace_build_info", "Version of the operator.", ("version",), registry=self.registry)
        build.labels(version("headrace-operator")).set(1)

    def record(self, resource: Resource, status: Mapping[str, Any], backlog: BacklogSeen | None) -> None:
        """Remember what was seen of ``resource``."""
        self._seen[(resource.kind, resource.namespace, resource.name)] = (resource, status, backlog)

    def forget(self, kind: str, namespace: str, name: str) -> None:
        """Forget a resource that is gone."""
        self._seen.pop((kind, namespace, name), None)

    def pass_ended(self, kind: str, outcome: str, seconds: float) -> None:
        """Count one pass."""
        self._passes.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Offer a gauge that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def collect(self) -> Iterator[Metric]:
        """Yield the series of every resource."""
        seen = list(self._seen.values())
        yield _conditions(seen)
        yield from _connectors([one for one in seen if one[0].kind == "Connector"])
        consumers = [one for one in seen if one[0].kind == "Consumer"]
        yield from _replicas(consumers)
        yield from _backlogs(consumers)


def _where(resource: Resource) -> list[str]:
    return [resource.namespace, resource.labels.get(PIPELINE, "")]


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"headrace_{name}", text, labels=(*WHERE, *labels))


def _conditions(seen: list[Seen]) -> Metric:
    family = _family("resource_condition", "Conditions of resources.", "kind", "name", "condition", "status")
    for resource, status, _ in seen:
        for one in status.get("conditions") or ():
            labels = [*_where(resource), resource.kind, resource.name, one["type"], one["status"]]
            family.add_metric(labels, 1)
    return family


def _connectors(seen: list[Seen]) -> Iterator[Metric]:
    state = _family("connector_state", "State of connectors.", "connector", "state")
    tasks = _family("connector_tasks", "Tasks of connectors by state.", "connector", "state")
    for resource, status, _ in seen:
        where = [*_where(resource), resource.name]
        if status.get("state"):
            state.add_metric([*where, status["state"]], 1)
        states = [task["state"] for task in status.get("tasks") or ()]
        for one in sorted({"RUNNING", "FAILED", *states}):
            tasks.add_metric([*where, one], states.count(one))
    return iter((state, tasks))


def _replicas(seen: list[Seen]) -> Iterator[Metric]:
    wanted = _family("consumer_desired_replicas", "Replicas wanted.", "consumer")
    ready = _family("consumer_ready_replicas", "Replicas that are ready.", "consumer")
    least = _family("consumer_min_replicas", "Fewest replicas allowed.", "consumer")
    most = _family("consumer_max_replicas", "Most replicas allowed.", "consumer")
    promise = _family("consumer_slo_lag_seconds", "Seconds that a record should wait at most.", "consumer")
    for resource, status, _ in seen:
        where = [*_where(resource), resource.name]
        scale = ((status.get("accepted") or {}).get("spec") or {}).get("scale") or {}
        wanted.add_metric(where, status.get("replicas") or 0)
        ready.add_metric(where, status.get("readyReplicas") or 0)
        least.add_metric(where, scale.get("min") or 1)
        most.add_metric(where, scale.get("max") or 10)
        promise.add_metric(where, scale.get("targetLagSeconds") or 60)
    return iter((wanted, ready, least, most, promise))


def _backlogs(seen: list[Seen]) -> Iterator[Metric]:
    labels = ("consumer", "group", "topic", "partition", "role")
    end = _family("consumer_end_offset", "Next offset to be written.", *labels)
    committed = _family("consumer_committed_offset", "Next offset to be handled.", *labels)
    lag = _family("consumer_lag_messages", "Records not handled yet.", *labels)
    age = _family("consumer_lag_seconds", "Age of the oldest record not handled.", *labels)
    dead = _family("dlq_outstanding_messages", "Dead letters without a resolution.", "consumer")
    for resource, _, backlog in seen:
        if backlog is None:
            continue
        if backlog.dead_letters_outstanding is not None:
            dead.add_metric([*_where(resource), resource.name], backlog.dead_letters_outstanding)
        for one in backlog.partitions:
            where = _partition(resource, one)
            end.add_metric(where, one.end)
            lag.add_metric(where, one.lag)
            if one.committed is not None:
                committed.add_metric(where, one.committed)
            if one.lag_seconds is not None:
                age.add_metric(where, one.lag_seconds)
    return iter((end, committed, lag, age, dead))


def _partition(resource: Resource, one: PartitionSeen) -> list[str]:
    at = (resource.namespace, resource.name)
    role = "retry" if one.topic == names.retry_topic(*at) else "source"
    return [*_where(resource), resource.name, names.group(*at), one.topic, str(one.partition), role]
