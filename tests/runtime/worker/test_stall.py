"""A turn that takes long is no sign that a partition stands still: nothing was read in it, or there was no turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from headrace.flow.ledger import Ledger
from headrace.flow.partitions import Partition
from headrace.metrics import Metrics
from headrace.worker.pauses import Pauses
from headrace.worker.stall import LOOK_EVERY, STALLED, STUCK, Stalls
from tests.runtime.configs import BILLING
from tests.runtime.pausing import Client

PLACE = ("orders", 0)


class Ahead(Client):
    """A client whose Kafka has records that were not read."""

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 9)


class Pod:
    """A pod with one partition, of which it has read some."""

    def __init__(self) -> None:
        ledger, metrics, source = Ledger(), Metrics(BILLING), Ahead()
        pauses, unused = Pauses(source, metrics), dict[Any, Any]()  # type: ignore[arg-type]
        self.stalls = Stalls(source, ledger, pauses, unused, unused, metrics)  # type: ignore[arg-type]
        self.now = 0.0
        ledger.assign(*PLACE)
        ledger.reach(*PLACE, 5)

    def turn(self, seconds: float) -> None:
        """Turn once, for so long."""
        self.now += seconds
        self.stalls.look_when_due(self.now, read=seconds)


@pytest.mark.case("delivery-19")
@pytest.mark.parametrize("seconds", [STALLED + LOOK_EVERY, STUCK + LOOK_EVERY])
def test_one_long_turn(seconds: float) -> None:
    pod = Pod()
    for each in (LOOK_EVERY, seconds, 0.1):
        pod.turn(each)
    assert (pod.stalls.stalled, pod.stalls.stuck) == ([], [])


def test_many_turns_of_reading() -> None:
    pod = Pod()
    for _ in range(int((STUCK + 2 * LOOK_EVERY) / 0.1)):
        pod.turn(0.1)
    assert (pod.stalls.stalled, pod.stalls.stuck) == ([PLACE], [PLACE])
