"""Which partitions are read while what may be unfinished is used up: those that have too little for their keys."""

from __future__ import annotations

import pytest

from headrace.flow.budget import LOW_BYTES
from headrace.flow.ledger import Assignment
from headrace.flow.shares import ENOUGH, FEW, Held, Shares

SIZE = 1_000
"""Bytes of a record."""


class Pod:
    """Partitions of which each holds so many records, of ``keys`` keys."""

    def __init__(self, *records: int, keys: int = 10, size: int = SIZE) -> None:
        self.shares = Shares()
        self.keys, self.size = keys, size
        self.partitions = [Assignment("orders", number) for number in range(len(records))]
        self.held = {one: self.of(count) for one, count in zip(self.partitions, records, strict=True)}

    def of(self, records: int) -> Held:
        return Held(records, records * self.size, self.keys, ended=False)

    def change(self, number: int, keys: int = 10, *, ended: bool = False) -> None:
        one = self.partitions[number]
        self.held[one] = self.held[one]._replace(keys=keys, ended=ended)

    def read(self, *, lacks_keys: bool) -> set[int]:
        laden = self.shares.laden(self.held, lacks_keys=lacks_keys)
        return {one.partition for one in self.held if one not in laden}


def test_while_keys_are_lacking_those_that_hold_least_are_read() -> None:
    pod = Pod(3_600, 500, 0, 0)
    assert pod.read(lacks_keys=True) == {1, 2, 3}
    pod.held[pod.partitions[1]] = pod.of(1_000)
    assert pod.read(lacks_keys=True) == {2, 3}
    pod.held[pod.partitions[2]] = pod.of(1_000)
    assert pod.read(lacks_keys=True) == {3}


def test_while_keys_are_lacking_and_all_hold_about_the_same_all_are_read() -> None:
    assert Pod(1_500, 1_000, 1_800).read(lacks_keys=True) == {0, 1, 2}
    assert Pod(9_000).read(lacks_keys=True) == {0}


def test_a_partition_that_has_no_more_to_read_keeps_none_from_being_read() -> None:
    pod = Pod(9_000, 0, 0)
    assert pod.read(lacks_keys=True) == {1, 2}
    for number in (1, 2):
        pod.change(number, ended=True)
    assert pod.read(lacks_keys=True) == {0, 1, 2}


def test_a_key_that_is_all_that_its_partition_holds_is_read_on_so_that_it_can_be_parked() -> None:
    pod = Pod(3_600, 0)
    pod.change(0, keys=FEW - 1)
    assert pod.read(lacks_keys=True) == {0, 1}


@pytest.mark.parametrize("size", [SIZE, LOW_BYTES // 4 // 20 + 1])
def test_while_all_keys_at_hand_are_handled_a_partition_is_read_from_half_of_its_share_to_all_of_it(size: int) -> None:
    """By records, or by bytes where twenty of them are its share."""
    share = ENOUGH if size == SIZE else 20
    pod = Pod(share, share, share // 2 - 1, share, size=size)
    assert pod.read(lacks_keys=False) == {2}
    pod.held[pod.partitions[2]] = pod.of(share - 1)
    assert pod.read(lacks_keys=False) == {2}
    pod.held[pod.partitions[2]] = pod.of(share)
    assert pod.read(lacks_keys=False) == set()
    pod.held[pod.partitions[2]] = pod.of(share // 2)
    assert pod.read(lacks_keys=False) == set()
