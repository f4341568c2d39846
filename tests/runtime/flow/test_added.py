"""What an added partition waits for: older ones alone, up to the ends they had once it was seen how far it goes."""

from __future__ import annotations

from headrace.flow.added import barrier, older
from headrace.flow.offsets import Span
from headrace.progress import First

UPTO = {0: Span(0, 3), 1: Span(0, 3), 2: Span(0, 7)}
SPANS = {0: Span(0, 10), 1: Span(5, 5), 2: Span(0, 8)}
RETRY = {0: Span(0, 4), 1: Span(0, 0), 2: Span(0, 9)}


def test_older_is_what_the_group_began_with_before_the_partition_was_there() -> None:
    firsts = {0: First(2, 100), 1: First(2, 100), 2: First(4, 200), 3: First(4, 200), 5: First(6, 300)}
    assert older(0, firsts) == older(1, firsts) == frozenset()
    assert older(2, firsts) == older(3, firsts) == {0, 1}
    assert older(4, firsts) == {0, 1, 2, 3}
    assert older(5, firsts) == {0, 1, 2, 3}, "none waits for itself"


def test_none_waits_in_a_ring() -> None:
    firsts = {0: First(1, 1), 1: First(2, 2), 2: First(3, 3), 3: First(4, 4)}
    assert all(one < number for number in firsts for one in older(number, firsts))


def test_it_waits_for_sources_and_then_for_what_is_parked_by_then() -> None:
    one = barrier(2, {0, 1}, UPTO, SPANS, 50.0)
    assert (one.upto, one.began) == (7, 50.0)
    for committed in ({}, {0: 9}, {1: 5}):
        assert one.next(committed, RETRY) is one
        assert not one.is_passed(committed, {0: 4})
    one = one.next({0: 10}, RETRY)
    assert not one.is_passed({0: 10}, {})
    assert not one.is_passed({0: 10}, {0: 3})
    assert one.is_passed({0: 12}, {0: 4})
    assert one.next({0: 12}, {0: Span(0, 100)}) is one, "what is parked later is of later records"


def test_without_a_retry_topic_nothing_is_parked() -> None:
    one = barrier(2, {0, 1}, UPTO, SPANS, 50.0).next({0: 10}, {})
    assert one.is_passed({0: 10}, {})
