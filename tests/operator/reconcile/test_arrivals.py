"""Since when records are there: without a ceiling, in little memory, and never older than they are."""

from __future__ import annotations

import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from headrace_operator.reconcile.arrivals import Age, Arrivals

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """Return the time so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


@pytest.mark.case("scaling-5")
def test_an_age_has_no_ceiling() -> None:
    """One record in a topic that was watched, and a target of two hours: looked at each five seconds, for two days."""
    seen = Arrivals()
    seen.add(0, 0, after(-5))
    for second in range(0, 172_800, 5):
        seen.add(1, 0, after(second))

    assert seen.age(0, after(3_986)) == Age(seconds=3_986, at_least=False)
    assert seen.age(0, after(172_800)) == Age(seconds=172_800, at_least=False)
    assert len(seen.ends) == 2


@pytest.mark.case("scaling-5")
def test_an_age_has_no_ceiling_while_records_come_and_the_oldest_goes_on() -> None:
    """Ten hours behind: the age of each record that becomes the oldest is what it was, or up to an eighth less."""
    seen = Arrivals()
    seen.add(0, 0, after(-5))
    delay = 36_000
    for second in range(0, 3 * delay, 5):
        handled = max(0, second - delay)
        seen.add(second + 5, handled, after(second))
        age = seen.age(handled, after(second))
        assert not age.at_least
        assert 7 / 8 * (second - handled) - 10 <= age.seconds <= second - handled
        assert len(seen.ends) < 150


@settings(max_examples=200)
@given(seed=some.integers(0, 2**32))
def test_it_tells_an_eighth_less_at_most_and_never_more(seed: int) -> None:
    """Beside a model that remembers every sample; records come and are handled by chance."""
    draw = random.Random(seed)
    seen, every, end, handled, now = Arrivals(), [(0, 0.0)], 0, 0, 0.0
    seen.add(0, 0, after(0))
    for _ in range(300):
        now += draw.uniform(1, 20)
        end += draw.choice((0, 0, 1, 50, 1000))
        handled += draw.randint(0, end - handled) // draw.choice((1, 5, 100))
        every.append((end, now))
        seen.add(end, handled, after(now))
        told = seen.age(handled, after(now))
        place = bisect_right(every, handled, key=lambda one: one[0])
        true = now - every[place][1] if handled < end else 0.0
        assert not told.at_least
        assert true * 7 / 8 - 40 <= told.seconds <= true + 1e-6


def test_a_log_that_was_made_anew_is_watched_anew() -> None:
    seen = Arrivals()
    seen.add(0, 0, after(0))
    seen.add(900, 0, after(5))
    seen.add(3, 0, after(3600))

    assert seen.age(0, after(3605)) == Age(seconds=5, at_least=True)


def test_an_offset_that_goes_back_is_as_old_as_is_known() -> None:
    """A group that was reset: what was forgotten is said as a lower bound."""
    seen = Arrivals()
    for second in (0, 5, 10):
        seen.add(10 + second, 10 + second, after(second))
    seen.add(20, 2, after(15))

    assert seen.age(2, after(20)) == Age(seconds=10, at_least=True)
