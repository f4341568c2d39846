"""The demo on the local cluster, reached as a user's own: the account adds up, and capacity follows the backlog."""

from __future__ import annotations

import re

import pytest

from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]


def test_the_account_adds_up(told: str) -> None:
    """All of it, also of orders that an earlier story left in the same databases."""
    found = re.search(
        r"orders (\d+) · effects \1 · lost 0 · balances right 500/500 · order per customer kept (\d+)/\2 · "
        r"redriven (\d+) \(after later orders: \d+\) · repeated deliveries \d+, all recognised · "
        r"dead letters \3 → 0 · commit-to-effect p50/p95/p99 \d",
        told,
    )

    assert found is not None, told[-3000:]
    orders, judged, redriven = map(int, found.groups())
    assert orders >= 20_000
    assert redriven % 5 == 0
    assert judged == orders - redriven


def test_a_burst_makes_the_replicas_rise_and_later_fall(told: str) -> None:
    found = re.search(r"most replicas that were ready at once: (\d+)", told)
    assert found is not None
    assert int(found[1]) >= 3
    assert "the replicas fell to 1 again" in told


def test_the_story_says_how_long_it_took(told: str) -> None:
    assert re.search(r"the story took (\d+) s", told) is not None


def test_each_step_teaches_its_command(told: str) -> None:
    """Below the title of every step is at least one command, as a person types it."""
    steps = told.split("\n▸ ")[1:]

    assert len(steps) >= 8
    assert [step.splitlines()[0] for step in steps if "\n  $ " not in step] == []


def test_the_connector_says_how_far_it_is_behind(told: str) -> None:
    """From its worker's metrics page, which the operator reads in the pod's own network."""
    until("the Connector's lag", lambda: "lagSeconds" in world.get("shop", "connectors", "orders-db")["status"])
