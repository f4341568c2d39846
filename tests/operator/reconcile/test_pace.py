"""How far apart looks are, by how many there are to make, and at which moment of the tick each is made."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from headrace_operator.reconcile.pace import LONGEST, LOOKS, TOGETHER, Pace
from headrace_operator.reconcile.queue import Queue
from headrace_operator.reconcile.turns import OF_A_NAMESPACE, Key

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
    pace = _paced(round(share * LOOKS * EVERY))
    assert pace.factor == factor
    for key, moment in _moments(pace, 10).items():
        assert pace.next(key, EVERY, moment) - moment == pytest.approx(EVERY * factor)


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
    apart, moments = EVERY * pace.factor, dict.fromkeys(_keys(count), now)
    for _ in range(12):
        moments = {key: pace.next(key, EVERY, begun) for key, begun in moments.items()}
    return {key: round(moment % apart, 6) % apart for key, moment in moments.items()}


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


@pytest.mark.parametrize("late", [0.0, 0.3, 0.5 * EVERY])
def test_who_is_late_is_at_its_moment_again_after_some_looks_none_of_which_is_left_out(late: float) -> None:
    pace, (key, *_) = _paced(100), _keys(100)
    looks = [pace.next(key, EVERY, 1000.0) + late]
    for _ in range(10):
        looks.append(pace.next(key, EVERY, looks[-1]))

    apart = [after - before for before, after in pairwise(looks)]
    assert 0.9 * EVERY <= min(apart) <= max(apart) <= EVERY + 1e-6
    assert apart[-1] == pytest.approx(EVERY)


@pytest.mark.looptime
async def test_where_more_is_due_than_can_be_done_all_are_looked_at_equally_often() -> None:
    """Each look takes so long that a tick is a quarter longer for each: nobody is left out of one for it."""
    pace, crowd, looks = Pace(), _keys(1000), dict[Key, list[float]]()
    clock = asyncio.get_running_loop().time

    async def look(key: Key) -> None:
        looks.setdefault(key, []).append(clock())
        begun = clock()
        await asyncio.sleep(OF_A_NAMESPACE * EVERY * pace.factor * 1.25 / len(crowd))
        queue.put(key, round(pace.next(key, EVERY, begun) - clock(), 3))

    queue = Queue(look)
    for key in crowd:
        queue.put(key)
    running = asyncio.create_task(queue.run())
    await asyncio.sleep(200)
    running.cancel()

    tick = EVERY * pace.factor
    apart = [after - before for each in looks.values() for before, after in pairwise(each) if before > 50]
    assert max(apart) < 1.5 * tick
    assert sum(apart) / len(apart) == pytest.approx(1.25 * tick, rel=0.1)
