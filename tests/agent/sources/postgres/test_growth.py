"""How fast a slot grows, and when it is lost by that."""

from __future__ import annotations

from headrace_agent.sources.postgres.growth import WINDOW, Growth, hours_left


def test_growth_is_that_of_the_last_ten_minutes() -> None:
    growth = Growth()

    assert growth.add(0.0, 0) is None
    assert growth.add(10.0, 1000) == 100.0
    assert growth.add(WINDOW + 10.0, 1000) == 0.0


def test_a_slot_that_is_gone_begins_anew() -> None:
    growth = Growth()
    growth.add(0.0, 0)

    assert growth.add(10.0, None) is None
    assert growth.add(20.0, 5000) is None


def test_hours_are_those_of_what_is_left() -> None:
    assert hours_left(7200, 1.0) == 2.0
    assert hours_left(-1, 1.0) == 0.0
    assert hours_left(7200, 0.0) is hours_left(7200, -5.0) is hours_left(None, 1.0) is hours_left(7200, None) is None
