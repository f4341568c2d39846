"""How much is read and not finished: the marks, and what a record weighs."""

from __future__ import annotations

import pytest

from headrace.flow.budget import HIGH, HIGH_BYTES, LOW, LOW_BYTES, Budget, weight
from headrace.record import Record


@pytest.mark.case("delivery-9")
@pytest.mark.parametrize(("high", "low"), [((HIGH, 0), (LOW, 0)), ((0, HIGH_BYTES), (0, LOW_BYTES))])
def test_reading_goes_on_only_below_the_low_mark(high: tuple[int, int], low: tuple[int, int]) -> None:
    budget = Budget()
    below_high = tuple(max(0, part - 1) for part in high)
    below_low = tuple(max(0, part - 1) for part in low)
    assert not budget.is_used_up(*below_high)
    assert budget.is_used_up(*high)
    assert budget.is_used_up(*below_high)
    assert budget.is_used_up(*low)
    assert not budget.is_used_up(*below_low)
    assert not budget.is_used_up(*below_high)


def test_it_tells_bytes_from_records() -> None:
    budget = Budget()
    assert budget.is_used_up(HIGH, 0)
    assert not budget.is_heavy
    assert budget.is_used_up(HIGH, HIGH_BYTES)
    assert budget.is_heavy


@pytest.mark.case("delivery-9")
@pytest.mark.parametrize(
    "record",
    [
        {"key": b"k" * 100_000, "value": None},
        {"key": None, "value": b"v" * 100_000},
        {"key": None, "value": None, "headers": (("n", b"h" * 60_000), ("n" * 40_000, None))},
    ],
    ids=["key", "value", "headers"],
)
def test_a_record_weighs_what_it_holds_wherever_that_is(record: dict[str, object]) -> None:
    whole = weight(Record(topic="t", partition=0, offset=0, **record))  # type: ignore[arg-type]
    assert 100_000 < whole < 103_000
