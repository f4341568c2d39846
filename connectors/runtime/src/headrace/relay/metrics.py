"""The metrics of one relay's pod; names are those that dashboards and alerts read. It must not decide anything."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics

from headrace.outbox import Relay
from headrace.relay.standing import DATABASE, KAFKA, Standing

LABELS = ("resource_namespace", "pipeline", "outbox_relay")

REFUSED, FAILED = "refused", "failed"
"""What a failure of a row is: it is tried again, or it was its last."""


class Metrics:
    """Counters and gauges of one relay in a registry of their own."""

    def __init__(self, settings: Relay) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._values = (settings.namespace, settings.pipeline, settings.relay)
        ProcessCollector(registry=self.registry)
        self.published = self._counter("headrace_relay_published", "Rows whose record Kafka has acknowledged.")
        failures = Counter(
            "headrace_relay_failures",
            "Rows that Kafka did not take: refused ones are tried again, failed ones are not.",
            (*LABELS, "outcome"),
            registry=self.registry,
        )
        self.refused, self.failed = (failures.labels(*self._values, one) for one in (REFUSED, FAILED))
        self.deleted = self._counter("headrace_relay_deleted", "Processed rows deleted, as they were old enough.")
        self._backlog = self._gauge("headrace_relay_backlog", "Pending rows of the table, a million at most.")
        self._failed_rows = self._gauge("headrace_relay_failed_rows", "Rows of the table with status FAILED.")
        self._oldest = self._gauge(
            "headrace_relay_oldest_pending_seconds", "Age of the first pending row, by the database's clock."
        )
        self._held = self._gauge("headrace_relay_buckets", "Parts of the table's rows, of 64, that this replica holds.")
        self._topics = self._gauge("headrace_relay_waiting_topics", "Topics that take nothing; their rows wait.")
        self._away = {
            DATABASE: self._gauge("headrace_relay_database_away", "1 while database or table cannot be used."),
            KAFKA: self._gauge("headrace_relay_kafka_away", "1 while Kafka does not take records."),
        }

    def tell(self, standing: Standing) -> None:
        """Set the gauges."""
        if standing.figures is not None:
            self._backlog.set(standing.figures.pending)
            self._failed_rows.set(standing.figures.failed)
            self._oldest.set(standing.figures.oldest or 0.0)
        self._held.set(standing.held)
        self._topics.set(standing.waiting_topics)
        for where, gauge in self._away.items():
            gauge.set(where in standing.troubles)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, LABELS, registry=self.registry).labels(*self._values)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, LABELS, registry=self.registry).labels(*self._values)
