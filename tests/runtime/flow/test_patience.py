"""Time in which the process stood still is no time in which somebody was waited for."""

from __future__ import annotations

from headrace.flow.patience import LONGEST, Patience


def test_it_is_over_after_its_seconds() -> None:
    patience = Patience(5, 100.0)
    assert [patience.is_over(100 + 0.5 * n) for n in range(1, 11)] == [False] * 9 + [True]


def test_a_long_step_counts_little() -> None:
    patience = Patience(5 * LONGEST, 0.0)
    assert not patience.is_over(3600.0)
    assert [patience.is_over(3600 + LONGEST * n) for n in range(1, 5)] == [False, False, False, True]


def test_it_begins_anew_when_somebody_was_heard() -> None:
    patience = Patience(1, 0.0)
    assert patience.is_over(1.0)
    patience.renew(1.0)
    assert not patience.is_over(1.9)
