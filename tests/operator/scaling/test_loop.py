"""The law in a closed loop with a consumer group: where it rests, how it rises and falls, and what must not move it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise

import pytest

from headrace_operator.scaling.decide import CALM, RISE_EVERY
from headrace_operator.scaling.terms import Limits
from tests.operator.scaling.loop import Group, Turn, Work, turns

LIMITS = Limits(min=1, max=12, partitions=12, target_seconds=60, hands=8)
SEEDS = pytest.mark.parametrize("seed", range(2))


def steady(rate: float) -> Callable[[float], float]:
    """So many records a second, all the time."""
    return lambda now: rate


def once(count: int, at: float = 100.0) -> Callable[[float], float]:
    """So many records in half a second."""
    return lambda now: 2 * count if at <= now < at + 0.5 else 0.0


def group(work: Work, seed: int, limits: Limits = LIMITS, **more: float) -> Group:
    """Return a group of one replica; eight hands of 0.2 s do 40 records a second."""
    return Group(work=work, partitions=limits.partitions, hands=limits.hands, seed=seed, **more)  # type: ignore[arg-type]


def wanted(seen: list[Turn], begin: float = 0.0, end: float = float("inf")) -> list[int]:
    """Return the numbers of replicas that were decided in a span of seconds."""
    return [turn.decision.desired for turn in seen if begin <= turn.at < end]


def changes(seen: list[Turn]) -> list[tuple[float, int, int]]:
    """Return each change: the second, from, to."""
    pairs = pairwise(seen)
    return [
        (after.at, before.decision.desired, after.decision.desired)
        for before, after in pairs
        if before.decision.desired != after.decision.desired
    ]


@SEEDS
@pytest.mark.case("scaling-1")
@pytest.mark.parametrize("commit_every", [1.0, 5.0])
@pytest.mark.parametrize("tells", [True, False])
def test_it_rests_where_it_suffices(seed: int, commit_every: float, tells: bool) -> None:
    """Two and a half replicas' worth: a second of backlog that is only not committed yet asks for none."""
    seen = turns(
        group(Work(rate=steady(100), cost=steady(0.2)), seed, commit_every=commit_every, tells=tells), LIMITS, 900
    )

    assert set(wanted(seen, 300)) <= {3, 4, 5}
    assert len({*wanted(seen, 450)}) == 1, "and moves no more"
    assert seen[-1].waits < LIMITS.target_seconds
    assert seen[-1].decision.capacity == pytest.approx(40, rel=0.15)


@pytest.mark.case("scaling-1")
def test_it_rests_at_a_thousand_a_second() -> None:
    """The figures that were seen to end at twelve of twelve: 1,000/s, and replicas that do 400/s."""
    seen = turns(group(Work(rate=steady(1000), cost=steady(0.02)), 1), LIMITS, 600)

    assert set(wanted(seen, 240)) == {4}


@SEEDS
@pytest.mark.case("scaling-1")
def test_it_rests_where_records_take_ten_seconds(seed: int) -> None:
    """Records in hand are as old as they take; that is no backlog. Two replicas and a half do the work."""
    seen = turns(group(Work(rate=steady(2), cost=steady(10), keys=100_000), seed), LIMITS, 1500)

    assert max(wanted(seen, 700)) <= 5
    assert len(set(wanted(seen, 900))) == 1


@SEEDS
@pytest.mark.case("scaling-2")
def test_a_poisoned_key_asks_for_no_replica(seed: int) -> None:
    """For ten minutes it fails at a quarter of a replica's load; all behind it is done."""
    work = Work(rate=steady(10), cost=steady(0.2), keys=50, fails=lambda key, now: key == 0 and 100 < now < 700)

    seen = turns(group(work, seed), LIMITS, 900)

    assert set(wanted(seen)) == {1}
    assert max(turn.waits for turn in seen) > 500


@SEEDS
@pytest.mark.case("scaling-2")
def test_a_failing_target_asks_for_no_replica_and_teaches_nothing(seed: int) -> None:
    work = Work(rate=steady(100), cost=steady(0.2), fails=lambda key, now: 600 < now < 900)

    seen = turns(group(work, seed), LIMITS, 900)

    assert set(wanted(seen, 600)) == set(wanted(seen, 590, 600))
    assert seen[-1].decision.capacity == pytest.approx(40, rel=0.15)


@SEEDS
@pytest.mark.case("scaling-2")
def test_one_key_with_a_backlog_asks_for_no_more_than_it_can_use(seed: int) -> None:
    seen = turns(group(Work(rate=once(3000), cost=steady(0.05), keys=1), seed), LIMITS, 600)

    assert set(wanted(seen)) == {1}


@SEEDS
@pytest.mark.case("scaling-3")
@pytest.mark.parametrize("count", [60, 90, 95, 105])
def test_few_slow_records_get_replicas(seed: int, count: int) -> None:
    """Ninety records of a minute each: twice as many at half of the target, and again each minute."""
    limits = dataclasses.replace(LIMITS, max=6)

    seen = turns(group(Work(rate=once(count), cost=steady(60)), seed, limits), limits, 700)

    assert [most for at, _, most in changes(seen)][:3] == [2, 4, 6]
    assert changes(seen)[0][0] <= 100 + LIMITS.target_seconds
    assert changes(seen)[2][0] <= 100 + LIMITS.target_seconds + 2 * RISE_EVERY + 20


@SEEDS
@pytest.mark.case("scaling-3")
def test_few_records_with_few_hands_get_replicas_while_they_shrink(seed: int) -> None:
    """Thirty of 20 s, two hands a replica, a target of ten: some are done all the time, and it is too late for all."""
    limits = dataclasses.replace(LIMITS, target_seconds=10, hands=2)

    seen = turns(group(Work(rate=once(30), cost=steady(20)), seed, limits), limits, 400)

    assert max(wanted(seen)) >= 4


@SEEDS
@pytest.mark.case("scaling-4")
def test_what_is_not_known_lowers_nothing(seed: int) -> None:
    """No answers for three minutes; the minutes after that have to show anew that fewer would do."""
    work = Work(rate=lambda now: 100 if now < 500 else 0, cost=steady(0.2))

    seen = turns(group(work, seed), LIMITS, 900, blind=lambda now: 520 < now < 700)

    assert min(wanted(seen, 450, 700 + CALM)) == max(wanted(seen, 450, 700 + CALM)) > 1
    assert wanted(seen)[-1] == 1


@SEEDS
@pytest.mark.case("scaling-6")
def test_bursts_make_few_changes_none_of_them_a_jump(seed: int) -> None:
    """Six bursts of 2,000 each 90 s; they made twelve changes."""
    work = Work(rate=lambda now: 1000 if now % 90 < 2 and now < 600 else 0, cost=steady(0.05))
    limits = dataclasses.replace(LIMITS, max=4, target_seconds=10)

    seen = turns(group(work, seed, limits), limits, 1200)

    assert len(changes(seen)) <= 6
    assert_no_jumps(seen)
    assert wanted(seen)[-1] == 1


@SEEDS
@pytest.mark.case("scaling-6")
def test_a_step_is_followed_without_a_jump(seed: int) -> None:
    """From half a replica's worth to seven and a half, and to nothing."""
    work = Work(rate=lambda now: 20 if now < 300 else 300 if now < 900 else 0, cost=steady(0.2))

    seen = turns(group(work, seed), LIMITS, 1500)

    assert 8 <= max(wanted(seen, 500, 900)) <= 12
    assert max(turn.waits for turn in seen if 750 < turn.at < 900) < LIMITS.target_seconds
    assert len([one for one in changes(seen) if one[0] > 900]) >= 3, "it falls in steps"
    assert wanted(seen)[-1] == 1
    assert_no_jumps(seen)


@SEEDS
def test_replicas_that_bring_nothing_are_not_followed_by_more(seed: int) -> None:
    """The target does 60 records a second, however many ask it, and a replica 40: a third one brings nothing."""
    made = group(Work(rate=steady(100), cost=lambda now: 0.2 * max(1.0, 40 / 60 * made.replicas)), seed)

    seen = turns(made, LIMITS, 900)

    assert max(wanted(seen)) <= 8
    assert set(wanted(seen, 400)) == {seen[-1].decision.desired}
    assert seen[-1].decision.reason == "NoGain"


def assert_no_jumps(seen: list[Turn]) -> None:
    """A rise is by no more than a doubling a minute, and a fall by no more than half."""
    for at, before, after in changes(seen):
        lately = [turn.decision.desired for turn in seen if at - RISE_EVERY <= turn.at < at]
        assert after <= 2 * min(lately)
        assert 2 * after >= before
