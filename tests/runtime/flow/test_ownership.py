"""Whose parked records and dead letters count, as commits tell it."""

from __future__ import annotations

import pytest

from headrace import headers
from headrace.flow.ownership import BEFORE, Owners, followed, is_late
from headrace.progress import Parker
from headrace.record import Record

FIRST, SECOND, THIRD = (Parker(since, name * 16) for since, name in ((0, "1"), (10, "2"), (20, "3")))


def record(offset: int, by: Parker | None, *, parked: bool = True) -> Record:
    own = ((headers.PARKED, by.by.encode()),) if by else ()
    return Record(topic="retry", partition=0, offset=offset, key=b"a", value=b"", headers=own, parked=parked)


@pytest.mark.parametrize(
    ("offset", "by", "late"),
    [
        (9, FIRST, False),
        (10, FIRST, True),
        (10, SECOND, False),
        (20, SECOND, True),
        (25, THIRD, False),
        (25, None, True),
    ],
)
def test_a_record_counts_in_the_time_of_its_owner(offset: int, by: Parker | None, *, late: bool) -> None:
    assert is_late(record(offset, by), (FIRST, SECOND, THIRD)) is late


def test_what_is_older_than_all_that_is_told_counts_and_what_is_not_parked_does_too() -> None:
    assert not is_late(record(9, None), (SECOND, THIRD))
    assert not is_late(record(25, FIRST), ())
    assert not is_late(record(25, FIRST, parked=False), (SECOND, THIRD))


def test_in_a_retry_topic_that_was_made_anew_the_last_owner_counts() -> None:
    """Offsets begin anew there: what the owners before had is told of another log."""
    known = followed((FIRST, THIRD), Parker(5, "4" * 16), 0)
    assert not is_late(record(7, known[-1]), known)
    assert not is_late(record(25, known[-1]), known)


def test_owners_are_forgotten_of_whose_time_nothing_is_left() -> None:
    own = Parker(30, "4" * 16)
    assert followed((FIRST, SECOND, THIRD), own, 0) == (FIRST, SECOND, THIRD, own)
    assert followed((FIRST, SECOND, THIRD), own, 10) == (SECOND, THIRD, own)
    assert followed((FIRST, SECOND, THIRD), own, 30) == (own,)
    assert followed((THIRD,), Parker(20, "4" * 16), 0) == (Parker(20, "4" * 16),)
    assert followed((), own, 0) == (own,)


def test_of_many_owners_the_last_are_told() -> None:
    many = [Parker(number, f"{number:016x}") for number in range(10)]
    own = Parker(10, "f" * 16)
    assert followed(many, own, 0) == (*many[-BEFORE:], own)
    assert not is_late(record(many[-BEFORE].since - 1, None), followed(many, own, 0))


OLD, MIDDLE, YOUNG = (Parker(0, name * 16, letter) for name, letter in (("1", 0), ("2", 5), ("3", 9)))


@pytest.mark.parametrize(
    ("offset", "by", "late"),
    [(4, OLD, False), (5, OLD, True), (5, MIDDLE, False), (9, OLD, True), (9, MIDDLE, True), (9, YOUNG, False)],
)
def test_a_letter_counts_in_the_time_of_its_owner(offset: int, by: Parker, *, late: bool) -> None:
    assert Owners(((OLD, MIDDLE),), own=YOUNG).is_late(offset, by.by) is late
    assert Owners(((OLD, MIDDLE, YOUNG), ())).is_late(offset, by.by) is late, "as the next one is told"


def test_a_letter_counts_whose_owner_one_of_both_commits_does_not_know() -> None:
    """The other one has what that owner did: where it tells so, the record does not come again."""
    assert not Owners(((OLD, YOUNG), (MIDDLE,))).is_late(6, MIDDLE.by)
    assert Owners(((OLD, YOUNG), (OLD, YOUNG))).is_late(6, MIDDLE.by)


def test_a_letter_is_late_where_one_commit_knows_a_later_owner() -> None:
    assert Owners(((OLD, MIDDLE), (OLD, YOUNG))).is_late(6, OLD.by)
    assert not Owners(((OLD, MIDDLE), (OLD, YOUNG))).is_late(4, OLD.by)


def test_what_is_older_than_all_letters_that_are_told_counts() -> None:
    assert not Owners(((MIDDLE, YOUNG), (MIDDLE, YOUNG))).is_late(4, "")
    assert not Owners().is_late(4, "")
    assert not Owners(((FIRST, SECOND),)).is_late(4, ""), "of a release that told of no letters"
    assert Owners((), own=YOUNG).is_late(9, ""), "of a release that named no owner"


def test_what_may_be_late_begins_with_the_first_that_is_told() -> None:
    assert Owners(((MIDDLE, YOUNG), (OLD,))).first() == 0
    assert Owners(((FIRST, MIDDLE), ()), own=YOUNG).first() == 5
    assert Owners().first() == 0


def test_owners_of_whose_letters_some_are_left_are_told() -> None:
    own = Parker(0, "4" * 16, 12)
    assert followed((OLD, MIDDLE, YOUNG), own, 0, 5) == (MIDDLE, YOUNG, own)
    assert followed((OLD, MIDDLE, YOUNG), own, 0, 12) == (own,)
    assert followed((OLD, SECOND), Parker(10, "4" * 16), 20) == (OLD, Parker(10, "4" * 16)), "keys wait no more"
