"""Whose parked records and dead letters count, as commits tell it."""

from __future__ import annotations

import pytest

from headrace import headers
from headrace.flow.offset_map import OffsetMap
from headrace.flow.ownership import BEFORE, Owners, followed, is_late, told
from headrace.flow.parking import Mark
from headrace.flow.seen import Begun, Known, Letter, seen
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
    assert told((OLD, MIDDLE, YOUNG), None).is_late(offset, by.by) is late, "as the next one is told"


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


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize("unknown", [(), (SECOND,)])
def test_letters_count_where_who_committed_the_source_told_of_none(unknown: tuple[Parker, ...]) -> None:
    """As a pod of the version before: what it tells as done does not come again, also if it did not read the other."""
    assert not told(unknown, (OLD, MIDDLE)).is_late(6, "1")


def test_letters_count_where_who_committed_the_retry_partition_told_of_none() -> None:
    assert not told((OLD, MIDDLE), (SECOND,)).is_late(6, "1")


@pytest.mark.case("delivery-1")
def test_an_owner_s_own_letters_are_never_late() -> None:
    """Nor where the topic of letters was made anew, so that they lie before where it began."""
    assert not Owners(((OLD, MIDDLE),), own=YOUNG).is_late(7, YOUNG.by)
    assert Owners(((OLD, MIDDLE),), own=YOUNG).is_late(7, OLD.by)


@pytest.mark.case("delivery-1")
def test_what_was_told_of_another_topic_of_letters_counts_for_nothing() -> None:
    """It ends before what was told: it was made anew, or cut."""
    assert not told((OLD, MIDDLE, YOUNG), None).within(8).is_late(7, YOUNG.by)
    assert told((OLD, MIDDLE, YOUNG), None).within(9).is_late(7, OLD.by)
    own = Parker(0, "4" * 16, 8)
    assert followed((OLD, MIDDLE, YOUNG), own, 0) == (own,)
    assert followed((OLD._replace(since=-1), YOUNG), own, -1) == (OLD._replace(since=-1, letter=None), own)


def test_a_letter_that_lies_before_the_time_of_its_owner_is_of_another_topic() -> None:
    """That was made anew, and is as long by now: who wrote it had the partition when it was."""
    assert not told((OLD, MIDDLE, YOUNG), (OLD, YOUNG)).is_late(7, YOUNG.by)


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize(("end", "waits"), [(8, True), (12, False)])
def test_keys_wait_behind_letters_of_a_topic_that_was_made_anew(end: int, *, waits: bool) -> None:
    """From its beginning on: what was told of the one before, up to its tenth letter, is nothing to go by."""
    lane = ("orders", 0, b"a")
    letter = Letter(7, Known(lane, Mark(3, 0), None), follows=False, by=YOUNG.by)
    begun = Begun(lane[:2], 10, OffsetMap(at=4), told((OLD, MIDDLE, YOUNG), None)).within(end)
    found = seen([letter], [], {begun.name: begun}, resolved=(), ends=(end, 0))
    assert (lane in found.keys) is waits
