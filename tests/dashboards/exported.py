"""Every metric there is, by what exports it: read from the code's own registries and the exporter's rules."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml
from prometheus_client import CollectorRegistry

from headrace.metrics import Metrics
from headrace.relay.metrics import Metrics as RelayMetrics
from headrace_agent import metrics as sources
from headrace_agent.declared import Declaration
from headrace_agent.looking import Looking
from headrace_agent.told import Told
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.reconcile.pace import Pace
from headrace_operator.reconcile.queue import Queue
from headrace_operator.reconcile.turns import Key
from tests.fakes import agent as fake
from tests.operator import worlds
from tests.runtime.configs import BILLING
from tests.runtime.relay.configs import RELAY

ROOT = Path(__file__).parents[2]
READY = [{"type": "Ready", "status": "True"}]
CONNECTOR = {"conditions": READY, "state": "RUNNING", "tasks": [{"id": 0, "state": "RUNNING"}]}
CONSUMER = {
    "conditions": READY,
    "pipeline": "orders",
    "replicas": 1,
    "readyReplicas": 1,
    "deadLetters": {"total": 0, "outstanding": 0},
    "scaling": {
        "desired": 1,
        "reason": "Steady",
        "arrivalsPerSecond": 1.0,
        "handledPerSecond": 1.0,
        "capacityPerReplica": 9.0,
    },
}
SNAPSHOT = {"conditions": READY, "phase": "Running", "rows": 0, "heard": {"next": 1, "at": "2026-11-30T12:00:00Z"}}
PLACE = {"resource_namespace": "shop", "connector": "orders-db"}
ENDS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One metric as scraped: ``type`` is counter, gauge or histogram; a histogram's label `le` is left out."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names that PromQL knows it by."""
        return tuple(self.name + end for end in ENDS[self.type]) if self.type == "histogram" else (self.name,)


def operator() -> list[Exported]:
    """Return what the operator exports, of a fleet where everything is known."""
    return list(_registered(_fleet()))


def runtime() -> list[Exported]:
    """Return what a consumer pod exports before it has read a record."""
    return list(_registered(Metrics(BILLING).registry))


def relay() -> list[Exported]:
    """Return what a relay's pod exports before it has read a row."""
    return list(_registered(RelayMetrics(RELAY).registry))


def agent() -> list[Exported]:
    """Return what a source agent exports of a source of which everything is known."""
    return list(_registered(_sources()))


def connect() -> list[Exported]:
    """Return what the exporter makes of a Connect worker's beans."""
    document = yaml.safe_load((ROOT / "connectors/connect/jmx-exporter.yaml").read_text())
    return [one for rule in document["rules"] if "name" in rule for one in _ruled(rule)]


def every() -> dict[str, Exported]:
    """Return all of them by the names that PromQL knows them by."""
    return {name: one for one in (*operator(), *runtime(), *relay(), *agent(), *connect()) for name in one.series}


def scraped() -> dict[str, float]:
    """Return each series and its value as Prometheus gets them of a pipeline that is well and idle."""
    registered = [
        sample
        for registry in (_fleet(), Metrics(BILLING).registry, RelayMetrics(RELAY).registry, _sources())
        for metric in registry.collect()
        for sample in metric.samples
    ]
    known = {_series(sample.name, sample.labels): sample.value for sample in registered}
    return known | {
        _series(one.name, {**dict.fromkeys(one.labels, "x"), **PLACE, "step": "write"}): 1 for one in connect()
    }


def _series(name: str, labels: Mapping[str, str]) -> str:
    listed = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{listed}}}"


def _sources() -> CollectorRegistry:
    beat = {"at": fake.AT, "age": 1.0, "position": "0/1", "confirmed_at": fake.AT}
    slot = fake.SLOT | {"safe_bytes": 2**30, "hours_left": 1000.0}
    source = fake.source(heartbeat=fake.seen(beat), slot=fake.seen(slot))
    told = Told(declaration="0" * 16, sources=(source,))
    declaration = Declaration(namespace="shop", cluster="main", sources=())
    return sources.registry(declaration, cast(Looking, SimpleNamespace(told=lambda: told)))


async def _never(key: Key) -> None:
    """Work on no key."""


def _fleet() -> CollectorRegistry:
    fleet = Fleet()
    loop = SimpleNamespace(fleet=fleet, lease=SimpleNamespace(held=lambda: True), queue=Queue(_never), pace=Pace())
    _process()._watch(loop, SimpleNamespace(silence=lambda: 0.0))
    backlog = worlds.consumer_world().backlog
    assert isinstance(backlog, BacklogSeen)
    aged = tuple(replace(part, lag_seconds=0.0) for part in backlog.partitions)
    fleet.record(worlds.CONNECTOR, CONNECTOR, None)
    fleet.record(worlds.SNAPSHOT, SNAPSHOT, None)
    fleet.record(worlds.CONSUMER, CONSUMER, replace(backlog, partitions=aged))
    return fleet.registry


def _process() -> Any:
    """Return the module that runs the operator; aiohttp warns of a subclass in it, which is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("headrace_operator.handlers.run")


def _registered(registry: CollectorRegistry) -> Iterator[Exported]:
    for metric in registry.collect():
        if not metric.name.startswith("headrace_"):
            continue
        assert metric.samples, f"{metric.name} has no series from the start"
        labels = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
        name = metric.name + ("_total" if metric.type == "counter" else "")
        yield Exported(name=name, type=metric.type, labels=tuple(labels), meaning=metric.documentation)


def _ruled(rule: dict[str, Any]) -> Iterator[Exported]:
    groups = re.findall(r"\(((?:[^()\\]|\\.)*)\)", rule["pattern"])
    found = re.search(r"\$(\d)", rule["name"])
    for word in groups[int(found[1]) - 1].split("|") if found else [""]:
        name = re.sub(r"\$\d", word, rule["name"]).lower().replace("-", "_")
        yield Exported(name=name, type=rule["type"].lower(), labels=tuple(rule.get("labels", ())), meaning=rule["help"])
