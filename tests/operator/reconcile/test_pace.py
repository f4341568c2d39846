"""How far apart looks are, by how many there are to make."""

from __future__ import annotations

import pytest

from headrace_operator.reconcile.pace import LONGEST, LOOKS, Pace
from headrace_operator.reconcile.turns import Key

pytestmark = pytest.mark.case("clusters-1")


def _keys(count: int) -> list[Key]:
    return [Key("Consumer", "shop", f"use{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("share", "factor"), [(0.1, 1.0), (1.0, 1.0), (1.1, 1.25), (1.5, 1.5), (2.0, LONGEST), (20.0, LONGEST)]
)
def test_the_more_there_are_the_further_apart_they_are_up_to_a_bound(share: float, factor: float) -> None:
    pace = Pace()
    for key in _keys(round(share * LOOKS * 5)):
        pace.wait(key, 5.0)

    assert pace.factor == factor
    assert pace.wait(_keys(1)[0], 5.0) == 5.0 * factor


def test_each_counts_once_and_not_when_it_is_gone() -> None:
    """However often it is looked at, and at whatever distance last."""
    pace, crowd = Pace(), _keys(round(LOOKS * 10))
    for seconds in (1.0, 3.0, 5.0):
        for key in crowd:
            pace.wait(key, seconds)
    assert pace.factor == 2.0
    for key in crowd[: len(crowd) // 2]:
        pace.forget(key)
        pace.forget(key)

    assert pace.factor == 1.0
