"""Ten minutes of a load that does not change, on the local cluster: replicas rest where they suffice.

`make soak` runs it, after `make demo`; it takes too long for `make test`, which collects files called ``test_…`` only.
"""

from __future__ import annotations

import uuid
from itertools import pairwise

import pytest

from tests.e2e.steady_load import steady_load, trace

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

MINUTES = 10


@pytest.mark.case("scaling-1")
@pytest.mark.parametrize(
    ("rate", "cost", "enough"),
    [
        pytest.param(1000, 0.02, {3, 4, 5}, id="1000/s, replicas of 400/s"),
        pytest.param(200, 0.1, {3, 4, 5}, id="200/s, replicas of 80/s"),
    ],
)
def test_replicas_rest_where_they_suffice(rate: int, cost: float, enough: set[int]) -> None:
    """A replica has eight hands; two and a half do the work, and it ended at twelve of twelve."""
    name = f"steady-{uuid.uuid4().hex[:6]}"
    with steady_load(name, rate=rate, seconds=60 * MINUTES + 60, cost=cost, most=12):
        seen = trace(name, 60 * MINUTES)

    late = [look for look in seen if look.at > 60 * (MINUTES - 1)]
    assert {look.desired for look in late} <= enough
    assert len({look.desired for look in late}) == 1, "and move no more"
    assert late[-1].lag < 10 * rate


@pytest.mark.case("scaling-6")
def test_a_load_that_ends_is_followed_up_and_down_without_a_jump() -> None:
    """Two and a half replicas' worth for three minutes, then nothing: 1, 2, 4 and 2, 1."""
    name = f"wave-{uuid.uuid4().hex[:6]}"
    with steady_load(name, rate=200, seconds=180, cost=0.1, most=12):
        seen = trace(name, 480)

    steps = [look.desired for look in seen if look.desired]
    changes = [(before, after) for before, after in pairwise(steps) if before != after]
    assert max(steps) >= 3
    assert steps[-1] == 1
    assert all(before / 2 <= after <= 2 * before for before, after in changes)
