"""How far apart looks are, by how many there are to make, and at which moment of the tick each is made."""

from __future__ import annotations

from collections import Counter

import pytest

from headrace_operator.reconcile.pace import LONGEST, LOOKS, TOGETHER, Pace
from headrace_operator.reconcile.turns import Key

pytestmark = pytest.mark.case("clusters-1")

EVERY = 5.0


def _keys(count: int) -> list[Key]:
    return [Key("Consumer", "shop", f"use{number}") for number in range(count)]


def _paced(count: int) -> Pace:
    """Return the pace of so many that are looked at every five seconds."""
    pace = Pace()
    for key in _keys(count):
        pace.next(key, EVERY, 0.0)
    return pace


@pytest.mark.parametrize(
    ("share", "factor"), [(0.1, 1.0), (1.0, 1.0), (1.1, 1.25), (1.5, 1.5), (2.0, LONGEST), (20.0, LONGEST)]
)
def test_the_more_there_are_the_further_apart_they_are_up_to_a_bound(share: float, factor: float) -> None:
    pace, now = _paced(round(share * LOOKS * EVERY)), 1000.0
    assert pace.factor == factor
    for key in _keys(10):
        first = pace.next(key, EVERY, now)
        assert pace.next(key, EVERY, first) - first == pytest.approx(EVERY * factor)


def test_each_counts_once_and_not_when_it_is_gone() -> None:
    """However often it is looked at, and at whatever distance last."""
    pace, crowd = Pace(), _keys(round(LOOKS * 10))
    for seconds in (1.0, 3.0, EVERY):
        for key in crowd:
            pace.next(key, seconds, 0.0)
    assert pace.factor == 2.0
    for key in crowd[: len(crowd) // 2]:
        pace.forget(key)
        pace.forget(key)

    assert pace.factor == 1.0


def _moments(pace: Pace, count: int, now: float = 1000.0) -> dict[Key, float]:
    """Return at which moment after ``now`` each is looked at, in seconds of the tick."""
    apart = EVERY * pace.factor
    return {key: round(pace.next(key, EVERY, now) % apart, 6) % apart for key in _keys(count)}


def test_few_are_looked_at_together() -> None:
    """They share one round of questions."""
    assert len(set(_moments(_paced(TOGETHER), TOGETHER).values())) == 1


def test_many_are_looked_at_in_groups_that_are_evenly_apart() -> None:
    """A thousand at one moment would be done by the middle of the tick, and who comes last would come late."""
    pace = _paced(1000)
    groups = Counter(_moments(pace, 1000).values())

    assert len(groups) == 10
    assert max(groups.values()) < 1.5 * TOGETHER
    apart = EVERY * pace.factor / len(groups)
    assert sorted(groups) == pytest.approx([number * apart for number in range(len(groups))])


def test_a_group_more_moves_nobody_by_much() -> None:
    """Else each that comes or goes at a bound would move all the others."""
    before, after = _moments(_paced(1000), 1000), _moments(_paced(1001), 1000)

    assert max(abs(before[key] - after[key]) for key in before) <= 1.0


@pytest.mark.parametrize("late", [0.0, 0.4, 0.49 * EVERY])
def test_who_is_looked_at_late_is_looked_at_in_time_again(late: float) -> None:
    """However long that look takes: one in the middle of a tick is no ground to leave the next one out."""
    pace = _paced(1000)
    for key in _keys(1000):
        due = pace.next(key, EVERY, 1000.0)
        assert pace.next(key, EVERY, due + late) - due == pytest.approx(EVERY * pace.factor)
