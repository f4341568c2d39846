"""A second reconcile of an unchanged world writes nothing: not at the API server but for the Lease, not at Connect."""

from __future__ import annotations

import time

import pytest

from tests.cluster import places
from tests.e2e import world
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2000)]

PASSES = 'sum(headrace_operator_reconciliations_total{outcome="ok",namespace="headrace-system"})'
QUIET = 30.0
"""Seconds without an event; each resource is looked at again within them."""


def test_an_unchanged_world_is_not_written_to(told: str) -> None:
    until("the replicas having settled", lambda: replicas() == 1)

    def quiet_since(begin: int) -> bool:
        passes = world.prometheus(PASSES)
        time.sleep(QUIET)
        looked = world.prometheus(PASSES) > passes  # not where a scrape failed meanwhile
        asked = world.connect_requests("shop", "main", QUIET)
        return looked and bool(asked) and all(map(world.is_read, asked)) and not world.operator_writes(begin)

    until("30 s without a write by the operator", lambda: quiet_since(places.AUDIT_LOG.stat().st_size))


def replicas() -> int:
    found = world.get("shop", "consumers", "billing")
    return int(found["status"]["replicas"])
