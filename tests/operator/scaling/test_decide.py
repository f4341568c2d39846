"""The number of replicas: bounded, never lowered blindly, raised by a burst and lowered when it is over."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as some

from headrace_operator.scaling.decide import SETTLE, Limits, Measured, Memory, decide
from tests.operator.worlds import NOW

LIMITS = Limits(min=1, max=10, partitions=12, target_seconds=10)
RATES = some.none() | some.floats(min_value=0, max_value=1e6)


@given(
    arrivals=RATES,
    handled=RATES,
    backlog=some.none() | some.integers(0, 10**9),
    ready=some.integers(0, 50),
    desired=some.none() | some.integers(0, 50),
    capacity=some.none() | some.floats(min_value=0.1, max_value=1e5),
    least=some.integers(1, 5),
    most=some.integers(5, 20),
    partitions=some.integers(1, 30),
)
@example(arrivals=0.0, handled=5e-324, backlog=100, ready=1, desired=None, capacity=None, least=1, most=5, partitions=1)
def test_always_between_min_and_the_ceiling(  # noqa: PLR0917
    arrivals: float | None,
    handled: float | None,
    backlog: int | None,
    ready: int,
    desired: int | None,
    capacity: float | None,
    least: int,
    most: int,
    partitions: int,
) -> None:
    limits = Limits(min=least, max=most, partitions=partitions, target_seconds=10)
    measured = Measured(arrivals=arrivals, handled=handled, backlog=backlog, ready=ready)

    decision = decide(measured, Memory(desired=desired, since=None, capacity=capacity), limits, NOW)

    assert least <= decision.desired <= max(least, min(most, partitions))
    if None in (arrivals, handled, backlog) and desired is not None:
        assert decision.desired >= min(desired, limits.ceiling)


@given(backlog=some.integers(0, 10**6), more=some.integers(0, 10**6))
def test_a_larger_backlog_never_asks_for_fewer(backlog: int, more: int) -> None:
    memory = Memory(desired=1, since=NOW, capacity=400.0)
    counts = [
        decide(Measured(arrivals=100.0, handled=100.0, backlog=size, ready=1), memory, LIMITS, NOW).desired
        for size in (backlog, backlog + more)
    ]

    assert counts[0] <= counts[1]


def test_a_burst_raises_replicas_and_its_end_lowers_them() -> None:
    calm = Memory(desired=1, since=None, capacity=None)
    burst = decide(Measured(arrivals=1200.0, handled=400.0, backlog=4000, ready=1), calm, LIMITS, NOW)
    after = Memory(desired=burst.desired, since=NOW, capacity=burst.capacity)
    idle = Measured(arrivals=20.0, handled=20.0, backlog=0, ready=burst.desired)

    assert burst.desired >= 4
    assert decide(idle, after, LIMITS, NOW + timedelta(seconds=5)).desired == burst.desired
    assert decide(idle, after, LIMITS, NOW + SETTLE).desired == 1


def test_replicas_that_have_just_come_teach_nothing() -> None:
    """What one replica handled, shared among three, would make each look slow, and ask for nine."""
    memory = Memory(desired=3, since=NOW, capacity=400.0)
    measured = Measured(arrivals=900.0, handled=400.0, backlog=4000, ready=3)

    soon, later = (decide(measured, memory, LIMITS, NOW + wait) for wait in (timedelta(seconds=10), SETTLE))

    assert soon.capacity == 400.0
    assert later.capacity is not None
    assert later.capacity < 400.0


def test_a_steady_load_does_not_flap() -> None:
    memory, counts = Memory(desired=3, since=NOW, capacity=400.0), []
    for step in range(100):
        now = NOW + timedelta(seconds=5 * step)
        wobble = 30.0 if step % 2 else -30.0
        decision = decide(Measured(arrivals=900.0 + wobble, handled=900.0, backlog=20, ready=3), memory, LIMITS, now)
        counts.append(decision.desired)
        memory = Memory(desired=decision.desired, since=memory.since, capacity=decision.capacity)

    assert set(counts) == {3}


def test_a_handful_of_waiting_records_teaches_nothing_about_capacity() -> None:
    calm = Memory(desired=1, since=NOW, capacity=400.0)

    decision = decide(Measured(arrivals=0.0, handled=1.0, backlog=4, ready=1), calm, LIMITS, NOW)

    assert decision.capacity == 400.0
    assert decision.desired == 1


def test_a_capacity_of_nothing_is_not_remembered() -> None:
    """A figure that was rounded to nothing once must not divide."""
    idle = Measured(arrivals=0.0, handled=0.0, backlog=500, ready=1)

    decision = decide(idle, Memory(desired=2, since=NOW, capacity=0.0), LIMITS, NOW)

    assert (decision.desired, decision.capacity) == (2, None)
