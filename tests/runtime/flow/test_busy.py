"""How much of the concurrency was in use is an integral: it rests on when the use changed, not on who asked when."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as some

from headrace.flow.busy import Busy


def test_what_is_in_use_counts_for_as_long_as_it_is() -> None:
    busy = Busy(8, 100.0)
    busy.note(4, 101.0)
    busy.note(2, 103.0)
    assert busy.seconds(104.0) == 4 * 2 + 2 * 1
    assert busy.seconds(110.0) == 4 * 2 + 2 * 7


def test_the_same_use_noted_again_changes_nothing() -> None:
    busy = Busy(2, 0.0)
    for now in (1.0, 2.0, 4.0):
        busy.note(3, now)
    assert busy.seconds(5.0) == 2 * 4
    busy.note(0, 5.0)
    assert busy.seconds(9.0) == 2 * 4


def test_more_than_there_is_counts_as_all() -> None:
    busy = Busy(2, 0.0)
    busy.note(9, 0.0)
    assert busy.seconds(5.0) == 10.0


@given(some.lists(some.tuples(some.floats(0, 60), some.integers(0, 20)), max_size=30))
def test_it_is_never_more_than_all_nor_less_than_none(changes: list[tuple[float, int]]) -> None:
    busy, times = Busy(5, 0.0), list(accumulate(step for step, _ in changes))
    for now, (_, hands) in zip(times, changes, strict=True):
        busy.note(hands, now)
    end = times[-1] if times else 0.0
    assert 0 <= busy.seconds(end) <= 5 * end + 1e-6
    after = min(changes[-1][1], 5) if changes else 0
    assert busy.seconds(end + 3) - busy.seconds(end) == pytest.approx(3 * after)
