"""What becomes of a failed attempt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import Retry
from headrace.failure import Reason
from headrace.flow.offset_map import Tried
from headrace.flow.policy import Again, DeadLetter, Failed, decide, resumed

RETRY = Retry(attempts=4, initial=1.0, factor=2.0, max=10.0)


def failed(*, retriable: bool = True, timed_out: bool = False, after: float | None = None) -> Failed:
    return Failed(message="m", exception="E", retriable=retriable, timed_out=timed_out, after=after)


@pytest.mark.parametrize(
    ("failure", "attempt", "fate"),
    [
        (failed(), 1, Again(delay=0.5)),
        (failed(), 2, Again(delay=1.0)),
        (failed(), 3, Again(delay=2.0)),
        (failed(), 4, DeadLetter(reason=Reason.MAX_ATTEMPTS)),
        (failed(), 9, DeadLetter(reason=Reason.MAX_ATTEMPTS)),
        (failed(timed_out=True), 4, DeadLetter(reason=Reason.TIMEOUT)),
        (failed(timed_out=True), 1, Again(delay=0.5)),
        (failed(retriable=False), 1, DeadLetter(reason=Reason.NON_RETRIABLE)),
        (failed(retriable=False, after=5.0), 1, DeadLetter(reason=Reason.NON_RETRIABLE)),
        (failed(after=5.0), 1, Again(delay=5.0)),
        (failed(after=500.0), 1, Again(delay=10.0)),
        (failed(after=-1.0), 1, Again(delay=0.0)),
        (failed(after=0.0), 1, Again(delay=0.0)),
        (failed(after=None), 1, Again(delay=0.5)),
        (failed(after=5.0), 4, DeadLetter(reason=Reason.MAX_ATTEMPTS)),
    ],
)
def test_table(failure: Failed, attempt: int, fate: Again | DeadLetter) -> None:
    assert decide(failure, attempt=attempt, retry=RETRY, jitter=0.5) == fate


@pytest.mark.parametrize(("crashes", "fate"), [(2, Again(delay=0.5)), (3, DeadLetter(reason=Reason.CRASH))])
def test_a_worker_process_may_end_so_often(crashes: int, fate: Again | DeadLetter) -> None:
    crash = Failed(message="m", exception="headrace.Crash", crashed=True)
    assert decide(crash, attempt=1, retry=RETRY, jitter=0.5, crashes=crashes) == fate
    assert isinstance(decide(failed(), attempt=1, retry=RETRY, jitter=0.5, crashes=crashes), Again)


@pytest.mark.parametrize(
    ("failure", "age", "fate"),
    [
        (failed(), 8.9, Again(delay=1.0)),
        (failed(), 9.5, DeadLetter(reason=Reason.EXPIRED)),
        (failed(after=5.0), 4.9, Again(delay=5.0)),
        (failed(after=5.0), 5.1, DeadLetter(reason=Reason.EXPIRED)),
        (failed(retriable=False), 99.0, DeadLetter(reason=Reason.NON_RETRIABLE)),
    ],
)
def test_no_attempt_is_made_beyond_the_longest_age(failure: Failed, age: float, fate: Again | DeadLetter) -> None:
    retry = RETRY.model_copy(update={"max_age": 10.0})
    assert decide(failure, attempt=2, retry=retry, jitter=0.5, age=age) == fate


@given(attempt=st.integers(1, 100_000), jitter=st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_most(attempt: int, jitter: float) -> None:
    retry = Retry(attempts=1_000_000, initial=0.5, factor=3.0, max=60.0)
    fate = decide(failed(), attempt=attempt, retry=retry, jitter=jitter)
    assert isinstance(fate, Again)
    assert 0 <= fate.delay <= 60.0


@pytest.mark.parametrize(
    ("tried", "wait"),
    [
        (Tried(2, due=1_003), 3.0),
        (Tried(2, due=1_000), 0.0),
        (Tried(2, due=900), 0.0),
        (Tried(2, due=9_999), 10.0),
        (Tried(2), 0.5),
        (Tried(4), 2.0),
        (Tried(99), 5.0),
    ],
)
def test_a_record_that_failed_elsewhere_waits_until_it_was_due_there(tried: Tried, wait: float) -> None:
    assert resumed(tried, now=1_000.0, retry=RETRY, jitter=0.5) == wait
