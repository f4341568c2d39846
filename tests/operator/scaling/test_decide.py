"""The number of replicas: bounded, never lowered blindly, more for more, and never for records that fail."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from headrace_operator.observed.kafka import Load, Rates
from headrace_operator.scaling.capacity import SETTLE, known_capacity, learned
from headrace_operator.scaling.decide import CALM, RISE_EVERY, decide
from headrace_operator.scaling.terms import Limits, Measured, Memory
from tests.operator.worlds import NOW

LIMITS = Limits(min=1, max=10, partitions=12, target_seconds=10, hands=8)
RATE = some.floats(min_value=0, max_value=1e6)
COUNT = some.integers(0, 10**9)
AGE = some.floats(0, 1e6)
LOADS = some.lists(
    some.builds(
        Load,
        number=some.integers(0, 11),
        arrivals=RATE,
        handled=RATE,
        waiting=COUNT,
        waited_before=COUNT,
        oldest=AGE,
        behind=AGE,
        failing=some.booleans(),
    ),
    max_size=12,
).map(tuple)
RATES = some.builds(
    Rates, arrivals=some.none() | RATE, handled=some.none() | RATE, loads=LOADS, steady_seconds=AGE,
    failing=some.booleans(), failed=some.booleans(),
)  # fmt: skip
AGO = some.none() | some.integers(0, 7200).map(lambda seconds: NOW - timedelta(seconds=seconds))
MEMORY = some.builds(
    Memory,
    desired=some.none() | some.integers(0, 50),
    previous=some.none() | some.integers(0, 50),
    since=AGO,
    capacity=some.none() | some.floats(min_value=0, max_value=1e5),
    measured_at=AGO,
    fewer_since=AGO,
)


def load(number: int, **known: float) -> Load:
    """Return a partition with ten records a second that come and go."""
    figures = {"arrivals": 10.0, "handled": 10.0, "waiting": 0, "waited_before": 0, "oldest": 0.0, "behind": 0.0}
    return Load(number=number, failing=False, **{**figures, **known})  # type: ignore[arg-type]


def measured(*loads: Load, ready: int = 1, **known: object) -> Measured:
    """Return what was measured of settled replicas."""
    sums = {"arrivals": sum(one.arrivals for one in loads), "handled": sum(one.handled for one in loads)}
    rates = Rates(loads=loads, **{"steady_seconds": SETTLE, **sums, **known})  # type: ignore[arg-type]
    return Measured(rates=rates, ready=ready)


def backlog(size: int, ready: int, **known: float) -> Measured:
    """Return twelve partitions with ``size`` records each that wait for long."""
    behind = {"waiting": size, "waited_before": size, "oldest": 60.0, "behind": 40.0, **known}
    return measured(*(load(number, **behind) for number in range(12)), ready=ready)


@given(rates=RATES, ready=some.integers(0, 50), memory=MEMORY, least=some.integers(1, 5), most=some.integers(5, 20))
def test_always_between_min_and_the_ceiling_and_never_lower_blindly(
    rates: Rates, ready: int, memory: Memory, least: int, most: int
) -> None:
    limits = Limits(min=least, max=most, partitions=12, target_seconds=10)

    decision = decide(Measured(rates=rates, ready=ready), memory, limits, NOW)

    assert least <= decision.desired <= max(least, min(most, 12))
    current = limits.clamp(memory.desired or least)
    assert decision.desired <= 2 * current
    assert 2 * decision.desired >= current
    if None in {rates.arrivals, rates.handled}:
        assert (decision.desired, decision.capacity) == (current, memory.capacity)
        assert decision.fewer_since is None, "what is not known shows nothing"
    if rates.failing:
        assert decision.desired <= current


@given(
    rates=RATES,
    memory=MEMORY,
    ready=some.integers(1, 12),
    more=some.integers(0, 10**6),
    faster=some.floats(0, 1e4),
    data=some.data(),
)
def test_more_to_do_never_asks_for_fewer(
    rates: Rates, memory: Memory, ready: int, more: int, faster: float, data: some.DataObject
) -> None:
    """More waits, or more arrives, in one partition, at any time, with any history; what a replica does is the same."""
    assume(rates.loads)
    rates = dataclasses.replace(rates, arrivals=sum(one.arrivals for one in rates.loads), failed=True)
    place = data.draw(some.integers(0, len(rates.loads) - 1))
    one = rates.loads[place]
    assume(not one.failing)
    fuller = dataclasses.replace(
        one, waiting=one.waiting + more, waited_before=one.waited_before + more, arrivals=one.arrivals + faster
    )
    loads = (*rates.loads[:place], fuller, *rates.loads[place + 1 :])
    heavier = dataclasses.replace(rates, loads=loads, arrivals=(rates.arrivals or 0.0) + faster)

    before, after = (
        decide(Measured(rates=each, ready=ready), memory, LIMITS, NOW).desired for each in (rates, heavier)
    )

    if known_capacity(memory, NOW):
        assert before <= after


@given(size=some.integers(1, 100_000), desired=some.integers(1, 9), ago=some.integers(0, 3600))
def test_a_rise_waits_a_minute_after_a_rise(size: int, desired: int, ago: int) -> None:
    rose = Memory(
        desired=desired + 1, previous=desired, since=NOW - timedelta(seconds=ago), capacity=10.0, measured_at=NOW
    )

    decision = decide(backlog(size, ready=desired + 1), rose, LIMITS, NOW)

    assert decision.desired <= 2 * (desired + 1)
    assert decision.desired <= desired + 1 or ago >= RISE_EVERY


def test_a_rise_after_a_fall_waits_for_nothing() -> None:
    fell = Memory(desired=2, previous=4, since=NOW - timedelta(seconds=5), capacity=40.0, measured_at=NOW)

    assert decide(backlog(500, ready=2), fell, LIMITS, NOW).desired == 4


def test_capacity_is_learned_where_every_replica_is_behind() -> None:
    assert learned(backlog(500, ready=3), Memory(desired=3), LIMITS, NOW)[0] == 40.0


def test_commits_that_are_due_teach_nothing() -> None:
    """A second's worth is not committed yet: each look sees it, and it is new each time."""
    uncommitted = backlog(10, ready=3, oldest=5.0, behind=1.0)

    assert learned(uncommitted, Memory(desired=3, capacity=400.0, measured_at=NOW), LIMITS, NOW)[0] == 400.0
    assert decide(uncommitted, Memory(desired=3), LIMITS, NOW).desired == 3


def test_replicas_that_have_just_come_teach_nothing() -> None:
    """What one replica handled, shared among three, would make each look slow, and ask for nine."""
    behind = backlog(500, ready=3)
    soon = dataclasses.replace(behind, rates=dataclasses.replace(behind.rates, steady_seconds=SETTLE - 1))
    memory = Memory(desired=3, since=NOW - timedelta(seconds=3600), capacity=400.0, measured_at=NOW)

    assert learned(soon, memory, LIMITS, NOW)[0] == 400.0
    assert learned(behind, memory, LIMITS, NOW)[0] == 40.0
    assert learned(behind, dataclasses.replace(memory, since=NOW - timedelta(seconds=10)), LIMITS, NOW)[0] == 400.0


def test_a_shrinking_backlog_teaches_no_lower_capacity() -> None:
    """Some replicas may have run out of work."""
    shrinking = backlog(500, ready=3, waited_before=900)

    assert learned(shrinking, Memory(desired=3, capacity=400.0, measured_at=NOW), LIMITS, NOW)[0] == 400.0
    assert learned(shrinking, Memory(desired=3, capacity=4.0, measured_at=NOW), LIMITS, NOW)[0] == 40.0


def test_failures_teach_nothing() -> None:
    behind = backlog(500, ready=3)
    failed = dataclasses.replace(behind, rates=dataclasses.replace(behind.rates, failed=True))

    assert learned(failed, Memory(desired=3, capacity=400.0, measured_at=NOW), LIMITS, NOW)[0] == 400.0


def test_one_partition_that_is_behind_teaches_nothing_and_asks_for_one_replica() -> None:
    """A hot partition, or one key: the other replicas are idle."""
    hot = measured(
        load(0, waiting=9000, waited_before=9000, oldest=60.0, behind=40.0), *map(load, range(1, 12)), ready=2
    )
    memory = Memory(desired=2, capacity=400.0, measured_at=NOW)

    assert learned(hot, memory, LIMITS, NOW)[0] == 400.0
    assert decide(hot, memory, LIMITS, NOW).desired == 2


@pytest.mark.case("scaling-3")
@pytest.mark.parametrize(
    ("most", "partitions", "says"), [(10, 1, "no topic has more partitions"), (1, 12, "not allowed by scale.max")]
)
def test_why_there_are_no_more_is_said(most: int, partitions: int, says: str) -> None:
    limits = Limits(min=1, max=most, partitions=partitions, target_seconds=10, hands=8)

    decision = decide(backlog(500, ready=1), Memory(desired=1, capacity=40.0, measured_at=NOW), limits, NOW)

    assert decision.desired == 1
    assert says in decision.message


def test_a_capacity_of_nothing_is_not_remembered() -> None:
    """A figure that was rounded to nothing once must not divide."""
    idle = measured(load(0, arrivals=0.0, handled=0.0, waiting=500, waited_before=500))

    decision = decide(idle, Memory(desired=2, capacity=0.0, measured_at=NOW), LIMITS, NOW)

    assert (decision.desired, decision.capacity) == (2, None)


@pytest.mark.case("scaling-1")
@pytest.mark.parametrize("measured_at", [None, NOW - timedelta(hours=25)])
def test_what_was_not_measured_for_a_day_is_forgotten(measured_at: datetime | None) -> None:
    """Also what an earlier operator has learned by a law that taught ever less: half of them are tried then."""
    calm = measured(*(load(number, arrivals=83.0, handled=83.0) for number in range(12)), ready=12)
    old = Memory(desired=12, capacity=83.0, measured_at=measured_at, fewer_since=NOW - timedelta(seconds=CALM))
    limits = dataclasses.replace(LIMITS, max=12)

    decision = decide(calm, old, limits, NOW)

    assert (decision.desired, decision.capacity) == (6, None)
    kept = dataclasses.replace(old, measured_at=NOW - timedelta(hours=23))
    assert decide(calm, kept, limits, NOW).desired == 12


def test_a_fall_is_by_half_after_a_calm_that_was_seen() -> None:
    idle = measured(load(0, arrivals=1.0), ready=8)
    memory = Memory(desired=8, since=NOW - timedelta(seconds=3600), capacity=400.0, measured_at=NOW)

    first = decide(idle, memory, LIMITS, NOW)
    assert (first.desired, first.reason, first.fewer_since) == (8, "Settling", NOW)
    later = NOW + timedelta(seconds=CALM)
    calm = dataclasses.replace(memory, fewer_since=first.fewer_since)
    assert decide(idle, calm, LIMITS, later - timedelta(seconds=1)).desired == 8
    assert decide(idle, calm, LIMITS, later).desired == 4


def test_a_steady_load_does_not_flap() -> None:
    memory, counts = Memory(desired=3, since=NOW, capacity=400.0, measured_at=NOW), []
    for step in range(100):
        now = NOW + timedelta(seconds=5 * step)
        wobble = 30.0 if step % 2 else -30.0
        seen = measured(*(load(number, arrivals=75.0 + wobble / 12, handled=75.0) for number in range(12)), ready=3)
        decision = decide(seen, memory, LIMITS, now)
        counts.append(decision.desired)
        memory = dataclasses.replace(
            memory, capacity=decision.capacity, measured_at=decision.measured_at, fewer_since=decision.fewer_since
        )

    assert set(counts) == {3}
