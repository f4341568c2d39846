"""The metrics of one consumer pod, each label bound once.

It must not decide anything; names are those that dashboards and the autoscaler read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from headrace.config import Config
from headrace.failure import Reason

Paused = Literal["full", "commit", "retry-partition", "added", "parked", "dead-letter"]
"""Why a partition is not read; docs/observability.md says what each means."""

LABELS = ("resource_namespace", "pipeline", "consumer")
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class Metrics:
    """Counters, gauges and histograms of one Consumer in a registry of their own."""

    def __init__(self, config: Config) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._values = (config.namespace, config.pipeline, config.consumer)
        ProcessCollector(registry=self.registry)
        self._outcomes(config)
        self._flow(config)

    def _outcomes(self, config: Config) -> None:
        attempts = self._counts("headrace_consumer_attempts", "Attempts by outcome.", "outcome")
        self.ok = attempts("ok")
        self.retried = attempts("retry")
        self.dead_lettered = attempts("dead_letter")
        self.frozen = attempts("frozen")
        self.retries = self._counter("headrace_consumer_retries", "Attempts after the first.")
        letters = self._many_counters("headrace_consumer_dead_letters", "Dead letters written.", "reason")
        self.dead_letters = {reason.value: letters(reason.value) for reason in Reason}
        self.dead_letter_failures = self._counter(
            "headrace_consumer_dead_letter_failures", "Dead letters that Kafka did not take; they are tried again."
        )
        self.deduplicated = self._counter(
            "headrace_consumer_deduplicated", "Records passed over, as their message was handled before."
        )
        self.deduplication_failures = self._counter(
            "headrace_consumer_deduplication_failures", "Questions that the store of handled messages did not answer."
        )
        records = self._counts("headrace_consumer_records", "Records finished.", "topic")
        self.records = {topic: records(topic) for topic in (*config.topics.sources, config.topics.retry)}
        commits = self._many_counters("headrace_consumer_commits", "Offset commits by outcome.", "outcome")
        self.committed = commits("ok")
        self.commit_failures = commits("failed")
        self.ignored_metadata = self._counter(
            "headrace_consumer_ignored_metadata", "Commit metadata that was not Headrace's, or was of another log."
        )

    def _flow(self, config: Config) -> None:
        self.processing = self._histogram(
            "headrace_consumer_processing_duration_seconds", "Time one attempt takes.", FAST
        )
        self.end_to_end = self._histogram(
            "headrace_end_to_end_latency_seconds", "Time from a record's timestamp to its success.", SLOW
        )
        self.dwell = self._histogram(
            "headrace_consumer_dwell_seconds", "Time from a record's timestamp to the start of its first attempt.", SLOW
        )
        self.in_flight = self._gauge("headrace_consumer_in_flight", "Records being handled.")
        self.limit = self._gauge("headrace_consumer_in_flight_limit", "Records that may be handled at once.")
        self.limit.set(config.delivery.concurrency)
        self.circuit_open = self._gauge(
            "headrace_consumer_circuit_open", "1 while the target fails, so that records wait and no attempt counts."
        )
        self.store_away = self._gauge(
            "headrace_consumer_store_away",
            "1 while the store of handled messages does not answer, so that records wait and no attempt counts.",
        )
        self.waiting = self._gauge("headrace_consumer_waiting_records", "Records read and not finished.")
        paused = Gauge(
            "headrace_consumer_paused_partitions",
            "Partitions not read, by reason.",
            (*LABELS, "reason"),
            registry=self.registry,
        )
        self.paused: dict[Paused, Gauge] = {why: paused.labels(*self._values, why) for why in get_args(Paused)}
        self.retrying_keys = self._gauge("headrace_consumer_retrying_keys", "Keys that wait for another attempt.")
        self.parked_keys = self._gauge(
            "headrace_consumer_parked_keys", "Keys whose records go through the retry topic, so that others are read."
        )
        self.waiting_keys = self._gauge(
            "headrace_consumer_waiting_keys", "Keys that wait until a dead letter of theirs has a resolution."
        )
        self.parked = self._counter(
            "headrace_consumer_parked_records", "Records written to the retry topic behind their key."
        )
        self.frontier_age = self._gauge(
            "headrace_consumer_frontier_age_seconds", "How long the oldest unfinished record has held back commits."
        )
        self.out_of_range = self._gauge(
            "headrace_consumer_out_of_range_partitions", "Partitions stopped because their offset no longer exists."
        )
        self.restarted = self._counter(
            "headrace_consumer_offset_resets", "Partitions that went on elsewhere, as their offset no longer existed."
        )
        self.stopped = self._gauge(
            "headrace_consumer_stopped_partitions", "Partitions that stand until their dead letters have a resolution."
        )
        self.stalled = self._gauge(
            "headrace_consumer_stalled_partitions", "Partitions with records to read of which none comes."
        )
        self.rebalances = self._counter("headrace_consumer_rebalances", "Assignments received.")
        self.stale = self._counter(
            "headrace_consumer_stale_completions", "Records finished after their partition was taken away."
        )
        self.redriven = self._counter("headrace_consumer_redriven", "Redriven records finished.")

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, LABELS, registry=self.registry).labels(*self._values)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, LABELS, registry=self.registry).labels(*self._values)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        histogram = Histogram(name, text, self._values, buckets)
        self.registry.register(histogram)
        return histogram

    def _counts(self, name: str, text: str, label: str) -> Counts:
        counts = Counts(name, text, label, self._values)
        self.registry.register(counts)
        return counts

    def _many_counters(self, name: str, text: str, label: str) -> Children:
        return Children(Counter(name, text, (*LABELS, label), registry=self.registry), self._values)


class Children:
    """The counters of one name with one more label."""

    def __init__(self, parent: Counter, values: tuple[str, ...]) -> None:
        self._parent = parent
        self._values = values

    def __call__(self, value: str) -> Counter:
        """Return the counter where the last label is ``value``."""
        return self._parent.labels(*self._values, value)


class Count:
    """A count that only grows, of one thread: it needs no lock."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """Count one more."""
        self.value += 1


class Counts(Collector):
    """The counters of one name, one for each value of one more label, each of one thread: for what each record counts.

    All are made before the first is told.
    """

    def __init__(self, name: str, text: str, label: str, values: tuple[str, ...]) -> None:
        self._told = name, text
        self._labels = (*LABELS, label)
        self._values = values
        self._counts: dict[str, Count] = {}

    def __call__(self, value: str) -> Count:
        """Return the counter where the last label is ``value``."""
        return self._counts.setdefault(value, Count())

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return what was counted so far."""
        family = CounterMetricFamily(*self._told, labels=self._labels)
        for value, count in self._counts.items():
            family.add_metric((*self._values, value), count.value)
        yield family


class Histogram(Collector):
    """A histogram that one thread observes: it needs no lock, and a bucket is found by bisection.

    ``buckets`` are upper bounds, in order.
    """

    def __init__(self, name: str, text: str, values: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        self._told = name, text
        self._values = values
        self._bounds = buckets
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Note one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what was observed so far."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        family = HistogramMetricFamily(*self._told, labels=LABELS)
        family.add_metric(self._values, buckets, self._sum)
        yield family
