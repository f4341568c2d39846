"""The Lease on a real API server: one holds it, a clean end hands it over at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from headrace_operator.clients.api import Api, connection
from headrace_operator.reconcile.lease import Lease
from tests.cluster.fast import ApiServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.apiserver


async def until(holds: Callable[[], bool]) -> None:
    """Wait until ``holds`` says so."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - the Lease tells nobody when it is taken
            await asyncio.sleep(0.05)


async def test_one_holds_and_a_clean_end_hands_over(server: ApiServer) -> None:
    """The second acts only after the first has released, and then long before the Lease would have ended by itself."""
    api = Api(await connection(str(server.kubeconfig)))
    leases = [Lease(api, "shop", name, duration=2 * PATIENCE, retry=0.3, margin=2) for name in ("one", "two")]
    first = asyncio.create_task(leases[0].run())
    try:
        await until(leases[0].held)
        second = asyncio.create_task(leases[1].run())
        await asyncio.sleep(1)
        assert leases[0].held()
        assert not leases[1].held()
        assert not leases[0].held(deadline=2 * PATIENCE)
        first.cancel()
        await asyncio.wait([first])
        assert not leases[0].held()
        await until(leases[1].held)
        second.cancel()
        await asyncio.wait([second])
    finally:
        await api.close()
