"""Which of the loads that pods told are of now, whatever the clocks of their nodes say."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as some

from headrace_operator.observed.kafka import PodLoad
from headrace_operator.reconcile.loads import STALE, Loads
from tests.operator.worlds import NOW


def load(pod: str = "a", end: float = 0, **more: object) -> PodLoad:
    """Return a load of a window that ended so many seconds from `NOW`."""
    told = PodLoad(pod=pod, end=NOW + timedelta(seconds=end), seconds=5, busy=0.5, handled=10)
    return dataclasses.replace(told, **more)  # type: ignore[arg-type]


def look(loads: Loads, seconds: float, *told: PodLoad) -> list[str]:
    return [one.pod for one in loads.look(told, NOW + timedelta(seconds=seconds))]


def test_a_load_is_stale_when_none_follows() -> None:
    loads = Loads()
    assert look(loads, 1, load()) == ["a"]
    assert look(loads, 6, load(end=5)) == ["a"]
    assert look(loads, 6 + STALE, load(end=5)) == ["a"]
    assert look(loads, 7 + STALE, load(end=5)) == []
    assert look(loads, 30, load(end=27)) == ["a"]


def test_one_that_was_there_before_anybody_looked_is_dated_by_its_pod() -> None:
    """An operator that starts anew does not take what a dead pod left for its word of now."""
    assert look(Loads(), STALE + 1, load()) == []
    assert look(Loads(), STALE - 1, load()) == ["a"]


@given(some.floats(-3600, 3600))
def test_clocks_that_differ_change_nothing_once_two_were_seen(skew: float) -> None:
    loads = Loads()
    look(loads, 0, load(end=skew))
    for second in range(5, 100, 5):
        assert look(loads, second, load(end=second + skew)) == ["a"]
    assert look(loads, 100 + STALE, load(end=95 + skew)) == []


def test_an_idle_pod_needs_to_say_so_only_once() -> None:
    loads = Loads()
    assert look(loads, 1, load(idle=True)) == ["a"]
    assert look(loads, 86_400, load(idle=True)) == ["a"]
    assert look(loads, 86_405) == [], "until another has its partition, and takes it off"


def test_the_last_of_each_pod_counts_whichever_partition_tells_it() -> None:
    """After a rebalance one of another pod may still be where it was told before."""
    loads = Loads()
    for told in ([load(end=5, handled=1), load(end=0)], [load(end=0), load(end=5, handled=1)]):
        (seen,) = loads.look([*told], NOW + timedelta(seconds=6))
        assert seen.handled == 1
    assert look(loads, 7, load("b", 7), load("a", 7)) == ["a", "b"]
