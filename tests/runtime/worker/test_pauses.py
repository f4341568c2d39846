"""Why partitions are not read, as the metric says it: what waits for something else is not told as back-pressure."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from headrace.flow.ledger import Assignment, Ledger
from headrace.metrics import Metrics, Paused
from headrace.worker.pauses import Pauses
from tests.runtime.configs import BILLING
from tests.runtime.pausing import Client


class Pod:
    """One of two partitions of which some are not read."""

    def __init__(self) -> None:
        self.metrics = Metrics(BILLING)
        self.pauses = Pauses(Client(), self.metrics)  # type: ignore[arg-type]
        ledger = Ledger()
        self.both = frozenset(ledger.assign("orders", number, 0) for number in (0, 1))

    def told(self) -> dict[str, float]:
        """Return of each reason for how many partitions it is told, but where it is for none."""
        samples = [one for family in self.metrics.registry.collect() for one in family.samples]
        found = [one for one in samples if one.name == "headrace_consumer_paused_partitions"]
        assert {one.labels["reason"] for one in found} == {*get_args(Paused)}
        return {one.labels["reason"]: one.value for one in found if one.value}


SETS: dict[Paused, Callable[[Pauses], Callable[[frozenset[Assignment]], None]]] = {
    "full": lambda pauses: pauses.set_laden,
    "commit": lambda pauses: pauses.set_crowded,
    "retry-partition": lambda pauses: pauses.set_alone,
    "added": lambda pauses: pauses.set_added,
    "parked": lambda pauses: pauses.set_held,
    "dead-letter": lambda pauses: pauses.set_stopped,
}


@pytest.mark.parametrize("why", get_args(Paused))
def test_a_partition_that_waits_is_told_with_its_reason_alone(why: Paused) -> None:
    pod = Pod()
    SETS[why](pod.pauses)(pod.both)
    assert pod.told() == {why: 2}
    pod.pauses.release(list(pod.both))
    SETS[why](pod.pauses)(frozenset())
    assert pod.told() == {}


def test_what_waits_and_would_be_held_back_as_well_is_told_with_each() -> None:
    pod = Pod()
    some = frozenset([*pod.both][:1])
    pod.pauses.set_added(some)
    pod.pauses.begin(list(pod.both))
    assert pod.told() == {"full": 2, "added": 1}
    pod.pauses.end()
    assert pod.told() == {"added": 1}
