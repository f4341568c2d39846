"""A part of the pipeline is killed in mid-burst: nothing is lost, order per key is kept, balances are right."""

from __future__ import annotations

import pytest

from tests.demo import account, books
from tests.demo.watching import Watch
from tests.e2e import faults, world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

ORDERS = 5_000
INTO_THE_BURST = 500
"""Effects after which the part is killed; the first burst begins at order 200."""


@pytest.mark.parametrize(
    ("namespace", "labels"),
    [
        pytest.param("shop", "headrace.dev/consumer=billing", id="consumer"),
        pytest.param("shop", "headrace.dev/connect=main", id="connect-worker"),
        pytest.param("headrace-system", "app.kubernetes.io/name=headrace", id="operator"),
    ],
)
def test_a_kill_in_mid_burst_loses_nothing(watch: Watch, namespace: str, labels: str) -> None:
    before, victim = watch.effects(), faults.container(namespace, labels)
    faults.place(watch, ORDERS)
    until("the burst", lambda: watch.effects() > before + INTO_THE_BURST)

    faults.kill(victim)

    assert watch.effects() < before + ORDERS
    until("every order's effect", lambda: watch.effects() >= before + ORDERS)
    until("the killed part being back", lambda: faults.has_restarted(victim))
    told = account.account(books.read(watch.shop, watch.billing))
    print(told.line())
    assert told.adds_up, told.faults
    until("the Consumer being Ready", world.is_ready("shop", "consumers", "billing"))
