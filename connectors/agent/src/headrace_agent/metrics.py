"""What was seen of sources, as Prometheus reads it: made anew at each scrape, so that what is gone is gone.

What is unknown has no sample, but for ``headrace_source_up``, which says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace_agent import told
from headrace_agent.declared import Declaration
from headrace_agent.looking import Looking
from headrace_agent.told import Seen

LABELS = ("resource_namespace", "connect_cluster", "connector")

_FIGURES: dict[str, tuple[str, Callable[[told.Postgres], float | None]]] = {
    "headrace_source_up": (
        "1 when the last look at the source logged in, 0 when it did not.",
        lambda seen: float(isinstance(seen.login, Seen)),
    ),
    "headrace_source_looked_timestamp_seconds": (
        "When the last look at the source ended.",
        lambda seen: seen.looked_at.timestamp() if seen.looked_at is not None else None,
    ),
    "headrace_source_tables": (
        "Captured tables that are there.",
        lambda seen: (
            sum(one.relation is not None for one in seen.tables.value) if isinstance(seen.tables, Seen) else None
        ),
    ),
    "headrace_source_position_bytes": (
        "The server's own WAL position.",
        lambda seen: float(seen.position.value.number) if isinstance(seen.position, Seen) else None,
    ),
    "headrace_source_slots_left": (
        "Replication slots that the server has left.",
        lambda seen: seen.server.value.max_slots - seen.server.value.slots if isinstance(seen.server, Seen) else None,
    ),
    "headrace_source_senders_left": (
        "WAL senders that the server has left.",
        lambda seen: (
            seen.server.value.max_senders - seen.server.value.senders if isinstance(seen.server, Seen) else None
        ),
    ),
    "headrace_source_heartbeat_age_seconds": (
        "Seconds since the newest heartbeat was written, at the last look.",
        lambda seen: seen.heartbeat.value.age if isinstance(seen.heartbeat, Seen) and seen.heartbeat.value else None,
    ),
}

_OF_SLOT: dict[str, tuple[str, Callable[[told.Slot], float | None]]] = {
    "headrace_source_slot_active": ("1 while somebody reads the slot.", lambda slot: float(slot.active)),
    "headrace_source_slot_lost": ("1 once the slot is invalidated.", lambda slot: float(slot.lost is not None)),
    "headrace_source_slot_retained_bytes": ("WAL kept for the slot.", lambda slot: slot.retained_bytes),
    "headrace_source_slot_unconfirmed_bytes": (
        "WAL that the slot's reader has not confirmed.",
        lambda slot: slot.unconfirmed_bytes,
    ),
    "headrace_source_slot_safe_bytes": (
        "WAL that may be written until the slot is lost; absent without a limit.",
        lambda slot: slot.safe_bytes,
    ),
    "headrace_source_slot_hours_left": (
        "Hours until the slot is lost as it grows now; absent while it does not.",
        lambda slot: slot.hours_left,
    ),
}


class Sources(Collector):
    """The figures of all sources of an agent."""

    def __init__(self, declaration: Declaration, looking: Looking) -> None:
        self._labels = (declaration.namespace, declaration.cluster)
        self._looking = looking

    def collect(self) -> Iterator[Metric]:
        """Yield each figure, with a sample for each source that has it."""
        sources = self._looking.told().sources
        for name, (text, read) in _FIGURES.items():
            yield self._family(name, text, {one.name: read(one) for one in sources})
        slots = {one.name: one.slot.value for one in sources if isinstance(one.slot, Seen) and one.slot.value}
        for name, (text, measure) in _OF_SLOT.items():
            yield self._family(name, text, {connector: measure(slot) for connector, slot in slots.items()})

    def _family(self, name: str, text: str, values: dict[str, float | None]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=LABELS)
        for connector, value in values.items():
            if value is not None:
                family.add_metric([*self._labels, connector], value)
        return family


def registry(declaration: Declaration, looking: Looking) -> CollectorRegistry:
    """Return a registry with the figures of sources, and of this process."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(Sources(declaration, looking))
    return made
