"""Source partitions wait for the retry partition of their number where it will come, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.flow.copartitions import apart, waiting
from headrace.flow.partitions import Partition

RETRY = "retry"


def assigned(counts: dict[str, int], members: int) -> list[set[Partition]]:
    """Return what each member gets from the range assignor."""
    got: list[set[Partition]] = [set() for _ in range(members)]
    for topic, count in counts.items():
        first = 0
        for member in range(members):
            last = first + count // members + (member < count % members)
            got[member] |= {(topic, number) for number in range(first, last)}
            first = last
    return got


def held(counts: dict[str, int], members: int) -> list[Partition]:
    return sorted(one for mine in assigned(counts, members) for one in waiting(apart(mine, RETRY), RETRY, counts))


@pytest.mark.case("delivery-15")
@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 12))
def test_nothing_waits_once_the_retry_topic_has_as_many_as_the_largest_source(
    one: int, other: int, members: int
) -> None:
    """Whatever a second source has; and what has as many is all together."""
    counts = {"one": one, "other": other, RETRY: max(one, other)}
    assert held(counts, members) == []
    beside = {topic for mine in assigned(counts, members) for topic, _ in apart(mine, RETRY)}
    assert all(counts[topic] < counts[RETRY] for topic in beside)


@pytest.mark.case("delivery-15")
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_what_has_no_partner_yet_waits_after_a_source_grew(before: int, more: int, members: int) -> None:
    """New partitions, and old ones that moved away from theirs."""
    counts = {"one": before + more, RETRY: before}
    read = {number for mine in assigned(counts, members) for topic, number in mine if topic == "one"}
    read -= {number for _, number in held(counts, members)}
    assert read <= set(range(before))
    owner = {one: member for member, mine in enumerate(assigned(counts, members)) for one in mine}
    assert all(owner["one", number] == owner[RETRY, number] for number in read)


@pytest.mark.case("delivery-15")
def test_all_wait_while_the_topics_are_not_known_and_none_without_a_retry_topic() -> None:
    alone = apart({("one", 0), ("one", 1), (RETRY, 1)}, RETRY)
    assert alone == {("one", 0)}
    assert waiting(alone, RETRY, None) == alone
    assert waiting(alone, RETRY, {"one": 2}) == frozenset()
