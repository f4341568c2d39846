"""The page of metrics is, to the byte, what the library would have written."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from headrace_operator.handlers.page import page
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen
from tests.operator import worlds

ODD = ("", "a\\b", 'say "so"', "two\nlines", "größer, {x}=y", "\\n")


@pytest.mark.parametrize("value", [0, 7, 0.1, -2.5, 1e22, 123456789.123, float("inf"), float("-inf"), float("nan")])
def test_values_are_written_as_the_library_writes_them(value: float) -> None:
    registry = CollectorRegistry()
    Gauge("plain", "Without labels.", registry=registry).set(value)
    Gauge("labelled", "With one.", ("name",), registry=registry).labels("a").set(value)

    assert page(registry) == generate_latest(registry)


@pytest.mark.parametrize("text", ODD)
def test_texts_are_escaped_as_the_library_escapes_them(text: str) -> None:
    """In labels, which are in the order of their names, and in what is said of a metric."""
    registry = CollectorRegistry()
    gauge = Gauge("told", f"What is told: {text}", ("z", "name"), registry=registry)
    for other in ODD:
        gauge.labels(text, other).set(1)

    assert page(registry) == generate_latest(registry)


def test_other_kinds_are_the_librarys() -> None:
    """Between gauges, in the order in which they are collected."""
    registry = CollectorRegistry()
    Gauge("first", "A gauge without series.", ("name",), registry=registry)
    Counter("second", "A counter.", ("name",), registry=registry).labels('"').inc()
    Histogram("third_seconds", "A histogram.", registry=registry).observe(0.3)
    Info("fourth", "An info.", registry=registry).info({"version": "1"})
    Gauge("fifth", "A gauge.", registry=registry).set(1)

    assert page(registry) == generate_latest(registry)


def test_a_fleet_reads_the_same() -> None:
    """But for what the process itself has used, between two readings."""
    fleet, backlog = Fleet(), worlds.consumer_world().backlog
    assert isinstance(backlog, BacklogSeen)
    fleet.record(worlds.CONSUMER, {"replicas": 2, "conditions": [{"type": "Ready", "status": "True"}]}, backlog)
    ours, theirs = (
        [line for line in told.decode().splitlines() if not line.startswith("process_")]
        for told in (page(fleet.registry), generate_latest(fleet.registry))
    )

    assert ours == theirs
    assert [line for line in ours if line.startswith("headrace_consumer_end_offset{")]
