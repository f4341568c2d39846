"""The demo on the local cluster, reached as a user's own: the account adds up, and capacity follows the backlog."""

from __future__ import annotations

import re

import pytest

from tests.e2e import world

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]


def test_the_account_adds_up(told: str) -> None:
    assert "orders 20000 · effects 20000 · lost 0 · balances right 500/500" in told
    assert "order per customer kept 19995/19995 · redriven 5" in told
    assert "dead letters 5 → 0" in told


def test_a_burst_makes_the_replicas_rise_and_later_fall(told: str) -> None:
    found = re.search(r"most replicas that were ready at once: (\d+)", told)
    assert found is not None
    assert int(found[1]) >= 3

    def replicas() -> int:
        return int(world.get("shop", "consumers", "billing")["status"]["replicas"])

    world.until("one replica again", lambda: replicas() == 1, 300)
