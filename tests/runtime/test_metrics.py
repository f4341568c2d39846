"""The page of metrics is what the library that reads it would have written."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client import Histogram as Own

from headrace.metrics import FAST, LABELS, Counts, Histogram, Metrics
from tests.runtime.configs import BILLING

VALUES = ("shop", "orders", "billing")


@pytest.mark.parametrize("observed", [(), (0.001,), (0.0010001, 0.0, 29.0, 30.0, 31.0, 5e9)])
def test_a_histogram_reads_as_the_librarys_own(observed: tuple[float, ...]) -> None:
    """A value on a bound is counted below it; one beyond all bounds is counted, too."""
    Metrics(BILLING)  # which turns off what is not written: the times at which metrics were made
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("taken_seconds", "Time taken.", VALUES, FAST)
    ours.register(histogram)
    own = Own("taken_seconds", "Time taken.", LABELS, registry=theirs, buckets=FAST).labels(*VALUES)
    for value in observed:
        histogram.observe(value)
        own.observe(value)

    assert generate_latest(ours) == generate_latest(theirs)


@pytest.mark.parametrize("counted", [(), ("ok",), ("ok", "retry", "ok")])
def test_counts_read_as_the_librarys_own(counted: tuple[str, ...]) -> None:
    """One that has counted nothing is there, too."""
    Metrics(BILLING)
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("tried", "Attempts.", "outcome", VALUES)
    ours.register(counts)
    own = Counter("tried", "Attempts.", (*LABELS, "outcome"), registry=theirs)
    children = {outcome: (counts(outcome), own.labels(*VALUES, outcome)) for outcome in ("ok", "retry")}
    for outcome in counted:
        for child in children[outcome]:
            child.inc()

    assert generate_latest(ours) == generate_latest(theirs)
