"""What a history of offsets tells: ages, rates, and what keeps behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace_operator.observed.kafka import PartitionSeen
from headrace_operator.reconcile.arrivals import Age
from headrace_operator.reconcile.backlog import GAP, History, Sample

AT = ("orders", 0)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def part(end: int, committed: int, **more: Any) -> PartitionSeen:
    """Return a partition as it was seen."""
    known = {"topic": "orders", "partition": 0, "start": 0, "lag_seconds": None}
    return PartitionSeen(end=end, committed=committed, **{**known, **more})


def sample(seconds: float, seen: PartitionSeen, ready: int = 1) -> Sample:
    """Return a sample so many seconds after noon."""
    return Sample(at=NOON + timedelta(seconds=seconds), partitions={AT: seen}, ready=ready)


def history(*samples: tuple[int, int, int]) -> History:
    """Return a history of (seconds, end, committed)."""
    made = History()
    for seconds, end, committed in samples:
        made.add(sample(seconds, part(end, committed)))
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


@pytest.mark.case("scaling-5")
def test_an_age_goes_on_beyond_an_hour() -> None:
    """It ended at 720 samples, and then said that the record was there before anybody looked."""
    made = history((0, 0, 0), *((5 * look, 1, 0) for look in range(1, 1000)))

    assert made.age(AT) == Age(seconds=4990, at_least=False)


@pytest.mark.case("scaling-5")
def test_an_operator_that_starts_anew_says_a_lower_bound() -> None:
    made = history((0, 30, 7), (5, 30, 7))

    assert made.age(AT) == Age(seconds=5, at_least=True)


def test_a_partition_that_appears_with_a_backlog_may_have_had_it_for_long() -> None:
    """A topic that is newly looked at is like a new start."""
    made = history((0, 10, 10))
    late = ("orders", 1)
    seen = {AT: part(10, 10), late: part(7, 0, partition=1)}
    made.add(Sample(at=NOON + timedelta(seconds=5), partitions=seen))

    assert made.age(late) == Age(seconds=0.0, at_least=True)


def test_nothing_is_known_before_a_sample() -> None:
    """No samples, no figures."""
    assert history().age(AT) is None
    assert history().rates().arrivals is None
    assert history((0, 1, 1)).rates().handled is None
    assert (history((0, 1, 1)).rates().first, history((0, 1, 1), (5, 1, 1)).rates().first) == (True, False)


def test_rates_are_of_the_last_half_minute() -> None:
    """Older samples do not count."""
    rates = history((0, 0, 0), (70, 1000, 900), (80, 1100, 950), (100, 1300, 1050)).rates()

    assert (rates.arrivals, rates.handled) == (10.0, 5.0)


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize("apart", [16, 31, 300])
def test_rates_are_known_however_late_looks_come(apart: int) -> None:
    """They were not, where looks are further apart than the window: nothing was decided, and each look told so."""
    made = history(*((apart * look, 100 * look, 90 * look) for look in range(4)))

    assert made.rates().arrivals == pytest.approx(100 / apart)
    assert made.rates().handled == pytest.approx(90 / apart)
    assert made.rates().steady_seconds == 0


@pytest.mark.case("scaling-2")
def test_what_is_done_beyond_the_commit_is_handled() -> None:
    """One record at the head fails: the hundred behind it are done, and three wait with it."""
    made = History()
    made.add(sample(0, part(104, 0, retrying=1, held=4)))
    made.add(sample(10, part(204, 0, done=190, retrying=1, held=4)))

    (load,) = made.rates().loads
    assert (made.rates().handled, load.waiting, load.failing) == (19.0, 10, False)
    assert made.age(AT) == Age(seconds=10, at_least=True)
    assert load.oldest == 0.0


@pytest.mark.case("scaling-2")
def test_more_keys_that_fail_than_records_that_are_done_is_failing() -> None:
    made = History()
    for look in range(8):
        made.add(sample(5 * look, part(500, 10 * min(look, 1), retrying=200)))
    assert (made.rates().failing, made.rates().failed) == (True, True)

    for look in range(8, 16):
        made.add(sample(5 * look, part(500, 50 * (look - 7), retrying=1)))
    assert (made.rates().failing, made.rates().failed) == (False, False)


def test_two_looks_between_two_commits_show_no_failure() -> None:
    """An event brings a second look at once; one key is tried again, and nothing was committed since."""
    made = History()
    for look in range(16):
        seen = part(5000, 100 * (look // 2), retrying=1)
        made.add(sample(5 * (look // 2) + look % 2, seen))

    assert not made.rates().failed


@pytest.mark.case("scaling-4")
def test_ends_that_stay_behind_commits_are_not_known() -> None:
    """An old answer would say that nothing arrives; a commit that is newer by a moment is none."""
    assert history((0, 100, 90), (5, 200, 202)).rates().arrivals == 20.0
    assert history((0, 100, 90), (5, 100, 120)).rates().arrivals is None


def test_replicas_are_steady_until_one_comes_or_goes_or_nobody_looked() -> None:
    made = History()
    for look in range(10):
        made.add(sample(5 * look, part(0, 0), ready=2))
    assert made.rates().steady_seconds == 45

    made.add(sample(50, part(0, 0), ready=3))
    made.add(sample(55, part(0, 0), ready=3))
    assert made.rates().steady_seconds == 5

    made.add(sample(56 + GAP, part(0, 0), ready=3))
    assert made.rates().steady_seconds == 0


def test_what_lies_behind_an_open_transaction_waits_and_nobody_can_handle_it() -> None:
    made = History()
    for look in range(4):
        made.add(sample(5 * look, part(100 + 100 * min(look, 1), 100, stable=100)))

    (load,) = made.rates().loads
    assert made.age(AT) == Age(seconds=10, at_least=False)
    assert (load.waiting, load.behind) == (0, 0.0)
