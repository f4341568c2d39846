"""How many records may begin in a second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.flow.rate import BURST, Rate


@given(per_second=st.integers(1, 10_000), waits=st.lists(st.floats(0, 3), max_size=30))
def test_no_span_has_more_than_its_records_and_a_burst(per_second: int, waits: list[float]) -> None:
    rate, now, begun = Rate(per_second, 0), 0.0, 0
    for wait in waits:
        now += wait
        for _ in range(rate.room(now)):
            rate.begin(now)
            begun += 1

        assert begun <= now * per_second + max(1.0, per_second * BURST) + 1e-6


@given(per_second=st.integers(1, 10_000))
def test_one_may_begin_when_it_is_due(per_second: int) -> None:
    rate, now, begun = Rate(per_second, 0), 0.0, 0
    while begun < 50:
        now = max(now, rate.due(now)) + 1e-9
        assert rate.room(now) >= 1
        rate.begin(now)
        begun += 1

    assert now <= 50 / per_second
