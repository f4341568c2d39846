"""What a history of offsets tells: ages and rates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace_operator.reconcile.backlog import Age, History, Sample

AT = ("orders", 0)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def history(*samples: tuple[int, int, int]) -> History:
    """Return a history of (seconds, end, committed)."""
    made = History()
    for seconds, end, committed in samples:
        made.add(Sample(at=NOON + timedelta(seconds=seconds), partitions={AT: (end, committed)}))
    return made


@pytest.mark.parametrize(
    ("samples", "seconds", "at_least"),
    [
        (((0, 10, 10),), 0.0, False),
        (((0, 10, 5),), 0.0, True),
        (((0, 10, 5), (600, 10, 7)), 600.0, True),
        (((0, 10, 5), (600, 20, 10)), 0.0, False),
        (((0, 10, 10), (5, 20, 10), (10, 20, 10)), 5.0, False),
        (((0, 10, 10), (5, 20, 10), (10, 30, 20)), 0.0, False),
        (((0, 10, 10), (5, 20, 10), (10, 30, 19), (20, 30, 19)), 15.0, False),
    ],
)
def test_age_counts_from_when_the_next_record_was_first_seen(
    samples: tuple[tuple[int, int, int], ...], seconds: float, at_least: bool
) -> None:
    """The oldest unhandled record is as old as the first sample whose end lies beyond it, or older without an older."""
    assert history(*samples).age(AT) == Age(seconds=seconds, at_least=at_least)


def test_a_partition_that_appears_with_a_backlog_may_have_had_it_for_long() -> None:
    """A topic that is newly looked at is like a new start."""
    made = history((0, 10, 10))
    late = ("orders", 1)
    made.add(Sample(at=NOON + timedelta(seconds=5), partitions={AT: (10, 10), late: (7, 0)}))

    assert made.age(late) == Age(seconds=0.0, at_least=True)


def test_nothing_is_known_before_a_sample() -> None:
    """No samples, no figures."""
    assert history().age(AT) is None
    assert history().rates().arrivals is None
    assert history((0, 1, 1)).rates().handled is None


def test_rates_are_of_the_last_half_minute() -> None:
    """Older samples do not count."""
    rates = history((0, 0, 0), (70, 1000, 900), (80, 1100, 950), (100, 1300, 1050)).rates()

    assert (rates.arrivals, rates.handled) == (10.0, 5.0)
