"""When a connector that says that it runs is doubted: offsets stand still, and what Kafka Connect says of that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headrace_operator.reconcile.progress import AFTER_A_RESTART, STILL, Progress
from tests.operator.worlds import NOW


def asked_at(
    progress: Progress, restart: timedelta | None, answer: str | None, begin: timedelta, before: str | None = "same"
) -> timedelta:
    """Look each second at the same offsets from ``begin`` on; answer the first question and return when it came.

    A restart was recorded with the offsets ``before``.
    """
    last, at = None if restart is None else NOW + restart, begin
    progress.look("same", last, NOW + at, before)
    progress.look(None, last, NOW + at, before)
    while not progress.doubtful(NOW + at):
        at += timedelta(seconds=1)
        assert at < begin + timedelta(minutes=5)
        progress.look("same", last, NOW + at, before)
    progress.answered(answer, NOW + at)
    return at


def test_offsets_that_move_are_never_asked_about() -> None:
    progress = Progress()
    for lsn in range(100):
        now = NOW + timedelta(seconds=15 * lsn)
        progress.look(lsn, None, now)
        assert not progress.doubtful(now)

    assert progress.doubt is None


def test_offsets_that_rest_are_asked_about_now_and_then() -> None:
    """And are well for as long as the answer is: heartbeats may be off."""
    progress = Progress()
    first = asked_at(progress, None, None, timedelta())
    second = asked_at(progress, None, None, first)

    assert (first, second) == (STILL, 2 * STILL)
    assert progress.doubt is None


@pytest.mark.case("databases-1")
def test_who_could_not_log_in_is_doubted_until_offsets_move() -> None:
    progress = Progress()
    begin = asked_at(progress, None, "no such user", timedelta())
    told = progress.doubt
    restarted = begin + timedelta(seconds=5)
    again = asked_at(progress, restarted, "no such user", restarted)
    standing = progress.doubt
    progress.look("moved", NOW + restarted, NOW + again + timedelta(seconds=1))

    assert told == standing == "The tasks say that they run, and cannot: no such user"
    assert again == restarted + AFTER_A_RESTART
    assert progress.doubt is None


@pytest.mark.case("databases-1")
def test_who_was_started_before_the_login_was_good_is_restarted_once_more() -> None:
    """Once: what was started after a good answer holds what was good, and may rest."""
    progress = Progress()
    refused = asked_at(progress, None, "no such user", timedelta())
    mended = asked_at(progress, refused, None, refused)
    stale = progress.doubt
    well = asked_at(progress, mended + timedelta(seconds=1), None, mended + timedelta(seconds=1))

    assert stale is not None
    assert "may hold an old password" in stale
    assert progress.doubt is None
    assert well == mended + timedelta(seconds=1) + AFTER_A_RESTART


@pytest.mark.case("databases-1")
def test_a_failure_makes_old_answers_worthless() -> None:
    progress = Progress()
    well = asked_at(progress, None, None, timedelta())
    progress.failed()
    asked_at(progress, well + timedelta(seconds=5), None, well + timedelta(seconds=5))

    assert progress.doubt is not None


@pytest.mark.case("clusters-crash")
@pytest.mark.parametrize(("before", "rested"), [("same", True), ("earlier", False), (None, False)])
def test_who_looks_first_after_a_restart_knows_by_its_record_whether_offsets_moved(
    before: str | None, rested: bool
) -> None:
    """An operator that began anew has seen none; that nobody recorded them does not say that they are the same."""
    progress = Progress()
    asked_at(progress, timedelta(seconds=-3), None, timedelta(), before)

    assert (progress.doubt is not None) == rested
