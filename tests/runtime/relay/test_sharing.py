"""Replicas share the buckets: each has one holder, whatever each has seen of the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.relay.sharing import ALL, BUCKETS, Lease, to_release, to_take, wanted

REPLICAS = st.sets(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=9)


@given(REPLICAS)
def test_those_who_see_the_same_share_all_and_share_evenly(replicas: set[str]) -> None:
    shares = [wanted(replicas, own) for own in replicas]

    assert frozenset().union(*shares) == ALL
    assert sum(map(len, shares)) == BUCKETS
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(REPLICAS, st.data())
def test_nobody_takes_what_another_holds(replicas: set[str], data: st.DataObject) -> None:
    """Also when they disagree about who there is."""
    own = data.draw(st.sampled_from(sorted(replicas)))
    leases = [
        Lease(bucket=number, holder=data.draw(st.sampled_from(sorted(replicas))), live=data.draw(st.booleans()))
        for number in range(0, BUCKETS, 7)
    ]
    ours = wanted(data.draw(REPLICAS), own)
    held_by_others = {one.bucket for one in leases if one.live and one.holder != own}

    assert not to_take(leases, ours, own) & held_by_others
    assert not to_release(leases, ours, own) & held_by_others
    assert not to_release(leases, ours, own) & ours
