"""The Lease on a real API server: one holds it, a clean end hands it over at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import pytest

from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.apart import apart
from headrace_operator.reconcile.lease import NAME, VERSION, Lease, hold
from tests.cluster.fast import ApiServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.apiserver


async def until(holds: Callable[[], bool]) -> None:
    """Wait until ``holds`` says so."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - the Lease tells nobody when it is taken
            await asyncio.sleep(0.05)


@pytest.mark.case("clusters-1")
async def test_it_is_kept_however_busy_the_loop_is(server: ApiServer) -> None:
    """Nothing else runs for longer than the Lease lasts: it is renewed meanwhile, and released at the end."""
    api = Api(await connection(str(server.kubeconfig)))
    lease = Lease("shop", "busy", duration=20, retry=0.3, margin=2)

    holding = asyncio.create_task(apart(partial(hold, lease, api.configuration)))
    await until(lease.held)
    time.sleep(30)  # noqa: ASYNC251 - that is what it is about
    held = lease.held()
    holding.cancel()
    await asyncio.wait([holding])
    left = await api.send("GET", path(VERSION, "Lease", "shop", NAME))
    await api.close()

    assert held
    assert not lease.held()
    assert left["spec"]["holderIdentity"] == ""


async def test_a_bug_of_what_works_apart_is_raised() -> None:
    async def work() -> None:
        raise LookupError("nobody thought of this")

    with pytest.raises(LookupError):
        await apart(work)


async def test_one_holds_and_a_clean_end_hands_over(server: ApiServer) -> None:
    """The second acts only after the first has released, and then long before the Lease would have ended by itself."""
    api = Api(await connection(str(server.kubeconfig)))
    leases = [Lease("shop", name, duration=2 * PATIENCE, retry=0.3, margin=2) for name in ("one", "two")]
    first = asyncio.create_task(leases[0].run(api))
    try:
        await until(leases[0].held)
        second = asyncio.create_task(leases[1].run(api))
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
