"""What a history of offsets tells: ages and rates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace_operator.reconcile.backlog import History, Sample

AT = ("orders", 0)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def history(*samples: tuple[int, int, int]) -> History:
    """Return a history of (seconds, end, committed)."""
    made = History()
    for seconds, end, committed in samples:
        made.add(Sample(at=NOON + timedelta(seconds=seconds), partitions={AT: (end, committed)}))
    return made


@pytest.mark.parametrize(
    ("samples", "age"),
    [
        (((0, 10, 10),), 0.0),
        (((0, 10, 5),), 0.0),
        (((0, 10, 10), (5, 20, 10), (10, 20, 10)), 5.0),
        (((0, 10, 10), (5, 20, 10), (10, 30, 20)), 0.0),
        (((0, 10, 10), (5, 20, 10), (10, 30, 19), (20, 30, 19)), 15.0),
    ],
)
def test_age_counts_from_when_the_next_record_was_first_seen(
    samples: tuple[tuple[int, int, int], ...], age: float
) -> None:
    """The oldest unhandled record is as old as the first sample whose end lies beyond it."""
    assert history(*samples).lag_seconds(AT) == age


def test_nothing_is_known_before_a_sample() -> None:
    """No samples, no figures."""
    assert history().lag_seconds(AT) is None
    assert history().rates().arrivals is None
    assert history((0, 1, 1)).rates().handled is None


def test_rates_are_of_the_last_half_minute() -> None:
    """Older samples do not count."""
    rates = history((0, 0, 0), (70, 1000, 900), (80, 1100, 950), (100, 1300, 1050)).rates()

    assert (rates.arrivals, rates.handled, rates.samples) == (10.0, 5.0, 3)
