"""A partition stands still when Kafka has more, reading is free and nothing comes; nothing else counts as that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.stall import Watch

PLACE = ("orders", 0)


def read(ledger: Ledger, offset: int) -> None:
    ledger.reach(*PLACE, offset)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.assign(*PLACE)
    return ledger


def standing(
    ledger: Ledger, ends: list[int | None], between: Callable[[int], None] = lambda turn: None
) -> list[Assignment]:
    """What stands still for 20 s after a look every 10 s with these ends of the partition; None was not answered."""
    watch = Watch()
    for turn, end in enumerate(ends):
        between(turn)
        watch.look(ledger.owned, {} if end is None else {PLACE: end}, turn * 10.0)
    return watch.standing(20.0)


def test_records_that_do_not_come(ledger: Ledger) -> None:
    read(ledger, 5)
    assert standing(ledger, [9, 9, 9]) == list(ledger.owned)
    assert standing(ledger, [9, 9]) == []


def test_an_assignment_of_which_nothing_is_heard(ledger: Ledger) -> None:
    assert standing(ledger, [0, 0, 0]) == list(ledger.owned)


def test_an_idle_partition(ledger: Ledger) -> None:
    read(ledger, 9)
    assert standing(ledger, [9] * 9) == []


def test_a_partition_that_moves_though_it_stays_behind(ledger: Ledger) -> None:
    assert standing(ledger, [90] * 9, lambda turn: read(ledger, turn)) == []


def test_an_end_that_is_not_known_proves_nothing(ledger: Ledger) -> None:
    read(ledger, 5)
    assert standing(ledger, [9, 9, None]) == []
    assert standing(ledger, [9, 9, None, 9, 9]) == []


def test_a_partition_given_away_and_back_starts_anew(ledger: Ledger) -> None:
    def again(turn: int) -> None:
        if turn == 2:
            ledger.assign(*PLACE)

    assert standing(ledger, [9, 9, 9, 9], again) == []
