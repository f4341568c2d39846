"""What keys give up of the room that parked records have, and in which order they have it back."""

from __future__ import annotations

import pytest

from headrace.flow.aside import LEFT, SHARE, Aside, cost, fair, kept
from headrace.flow.budget import LOW, LOW_BYTES
from headrace.flow.lanes import Job, Lane
from headrace.flow.ledger import Assignment
from headrace.record import Record

A: Lane = ("orders", 0, b"a")
B: Lane = ("orders", 1, b"b")


def admitted(aside: Aside, lane: Lane, offsets: range | list[int]) -> list[int]:
    return [offset for offset in offsets if aside.admits(lane, offset)]


def test_what_was_given_up_comes_back_in_order_once_it_is_wanted() -> None:
    aside = Aside()
    aside.put(A, [5, 7])
    aside.put(A, [2, 3])
    assert admitted(aside, A, [2, 3, 5, 7, 9]) == []
    aside.want(A)
    assert aside.first(0) == 2
    assert admitted(aside, A, [3, 5, 7, 9]) == []
    assert admitted(aside, A, [2, 3, 5, 7, 9, 11]) == [2, 3, 5, 7, 9, 11]
    assert (bool(aside), aside.first(0)) == (False, None)


def test_one_that_gives_up_again_waits_until_it_wants_again() -> None:
    aside = Aside()
    aside.put(A, [5, 7])
    aside.want(A)
    assert aside.admits(A, 5)
    aside.put(A, [5])
    assert aside.first(0) is None
    assert admitted(aside, A, [5, 7]) == []


def test_what_need_not_run_holds_up_nothing() -> None:
    aside = Aside()
    aside.put(A, [2, 3])
    aside.want(A)
    aside.drop(A, 2)
    aside.drop(A, 4)
    assert admitted(aside, A, [3, 5]) == [3, 5]


def test_a_partition_that_is_given_away_is_not_read_again() -> None:
    aside = Aside()
    aside.put(A, [2])
    aside.put(B, [1])
    aside.want(A)
    aside.want(B)
    aside.forget([0])
    assert (aside.first(0), aside.first(1)) == (None, 1)
    assert aside.admits(A, 2)


@pytest.mark.parametrize(
    ("costs", "share"),
    [
        ([], 1.0),
        ([0.1, 0.2], 1.0),
        ([5.0], LEFT),
        ([5.0, 4.0], LEFT / 2),
        ([5.0, 0.1, 5.0], (LEFT - 0.1) / 2),
        ([0.5] * 10, LEFT / 10),
    ],
)
def test_small_keys_keep_all_and_the_others_as_much_as_each_other(costs: list[float], share: float) -> None:
    assert fair(costs) == pytest.approx(share)
    assert sum(min(one, share) for one in costs) <= LEFT + 1e-9


def job(size: int = 1) -> Job:
    record = Record(topic="retry", partition=0, offset=0, key=b"a", value=b"", parked=True)
    return Job(Assignment("retry", 0), record, size=size)


def test_a_key_keeps_its_first_records_by_number_or_by_bytes_and_always_one() -> None:
    assert cost(job()) == 1 / (SHARE * LOW)
    assert kept([job()] * 9, 3 / (SHARE * LOW) + 1e-9) == 3
    assert kept([job()] * 9, 1.0) == 9
    assert kept([job(LOW_BYTES)] * 9, 0.5) == 1
