"""Upgrade and removal with Helm: the operator goes and comes, and data keeps flowing meanwhile."""

from __future__ import annotations

import pytest

from tests.demo import account, books
from tests.demo.watching import Watch
from tests.e2e import faults, world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

SYSTEM = "headrace-system"
HELM = ("helm", "--namespace", SYSTEM)
ORDERS = 500


def test_data_keeps_flowing_without_the_operator_and_an_upgrade_takes_it_up_again(watch: Watch) -> None:
    values = watch.reach.run(*HELM, "get", "values", "headrace", "-o", "yaml")
    until("the Consumer's rest", _rests)
    before, pods = watch.effects(), _pods()

    watch.reach.run(*HELM, "uninstall", "headrace", "--wait")
    try:
        faults.place(watch, ORDERS)
        until("every order's effect", lambda: watch.effects() >= before + ORDERS)
        assert not world.kubectl("-n", SYSTEM, "get", "deployments,roles", "-o", "name")
        assert _pods() == pods
    finally:
        for level in ("DEBUG", "INFO"):
            _install(watch, values, level)
    assert _pods() == pods
    assert account.account(books.read(watch.shop, watch.billing)).adds_up


def _install(watch: Watch, values: str, level: str) -> None:
    install = (*HELM, "upgrade", "--install", "headrace", "charts/headrace", "--wait", "--timeout", "5m", "-f", "-")
    watch.reach.run(*install, "--set", f"logLevel={level}", stdin=values)
    until("the new operator holding the Lease", _leads)
    until("the Consumer being Ready", world.is_ready("shop", "consumers", "billing"))


def _rests() -> bool:
    """Tell whether there is one pod of the Consumer and none that ends."""
    found = world.listed("shop", "pods", "headrace.dev/consumer=billing")
    return len(found) == 1 and "deletionTimestamp" not in found[0]["metadata"]


def _leads() -> bool:
    """Tell whether the operator that runs holds the Lease: `helm uninstall` takes the right to release it first."""
    leases = world.listed(SYSTEM, "leases")
    operators = world.listed(SYSTEM, "pods", "app.kubernetes.io/name=headrace")
    holders = {lease["spec"]["holderIdentity"].rpartition("_")[0] for lease in leases}
    return holders == {pod["metadata"]["name"] for pod in operators}


def _pods() -> set[str]:
    """Return the pods of workers and consumers, which nobody shall replace."""
    return {pod["metadata"]["name"] for pod in world.listed("shop", "pods", "app.kubernetes.io/managed-by=headrace")}
