"""What may begin beside what runs, where the handler takes more than it begins."""

from __future__ import annotations

import pytest

from headrace.config import Delivery, Rate
from headrace.flow.gate import Gate
from headrace.flow.policy import Failed

LANE = ("orders", 0, b"k")
BUSY = Failed(message="busy", exception="503", status=503)


def test_what_is_taken_ahead_comes_on_top_of_the_concurrency() -> None:
    gate = Gate(Delivery(concurrency=4), 0)
    assert gate.room(3, 0, ahead=6) == 7
    assert gate.room(10, 0, ahead=6) == 0


def test_nothing_is_taken_ahead_where_the_rate_or_the_target_limits_attempts() -> None:
    limited = Gate(Delivery(concurrency=4, rate=Rate(per_second=1000)), 0)
    assert limited.room(3, 0, ahead=6) == 1
    throttled = Gate(Delivery(concurrency=4), 0)
    throttled.ended(LANE, BUSY, 10)
    assert throttled.limit == 2
    assert throttled.room(1, 10, ahead=6) == 1


@pytest.mark.parametrize("now", [10.0, 15.0])
def test_an_open_circuit_lets_a_probe_through_and_nothing_ahead_of_it(now: float) -> None:
    gate = Gate(Delivery(concurrency=4), 0)
    for number in range(10):
        gate.ended(("orders", 0, b"%d" % number), BUSY, 10)
    assert gate.is_open
    assert gate.room(0, now, ahead=6) == (1 if now == 15 else 0)
