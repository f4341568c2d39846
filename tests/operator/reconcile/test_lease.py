"""The Lease on a real API server: one holds it, a clean end hands it over at once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.apart import apart
from headrace_operator.reconcile.lease import NAME, VERSION, Lease, hold
from tests.cluster.fast import ApiServer
from tests.operator.crowd import Patient
from tests.operator.operator_process import relayed
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
    api = Patient(await connection(str(server.kubeconfig)))
    lease = Lease("shop", "busy", duration=20, retry=0.3, margin=2)

    holding = asyncio.create_task(apart(partial(hold, lease, api.configuration)))
    await until(lease.held)
    time.sleep(30)  # noqa: ASYNC251 - that is what it is about
    in_vain = time.monotonic() + PATIENCE
    while not (held := lease.held()) and time.monotonic() < in_vain:
        time.sleep(0.05)  # noqa: ASYNC251 - where the machine stood still it is taken again, beside the loop
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
        await until(lambda: leases[1]._seen is not None)
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


@asynccontextmanager
async def running(api: Api, *leases: Lease) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Let each try to hold it until the end of the ``with``."""
    tasks = [asyncio.create_task(lease.run(api)) for lease in leases]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[Api]:
    made = Patient(await connection(str(server.kubeconfig)))
    yield made
    await made.close()


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize("me", ["node-1", ""])
async def test_of_two_with_one_name_one_holds(api: Api, me: str) -> None:
    """They share a host's name, or none is known: each looks many times, and never do both hold it, or hand it over."""
    place = f"named-{me or 'nothing'}"
    await api.send("POST", "/api/v1/namespaces", body={"metadata": {"name": place}})
    leases = [Lease(place, me, duration=2 * PATIENCE, retry=0.1, margin=2) for _ in range(2)]
    async with running(api, *leases):
        await until(lambda: any(lease.held() for lease in leases))
        for _ in range(100):
            assert [lease.held() for lease in leases].count(True) == 1
            await asyncio.sleep(0.02)
        lease = await api.send("GET", path(VERSION, "Lease", place, NAME))

    assert lease["spec"]["leaseTransitions"] == 1
    assert lease["spec"]["holderIdentity"].startswith(f"{me}_")


async def is_nobodys(api: Api, place: str) -> bool:
    """Tell whether the Lease is gone, or has no holder."""
    lease = await api.get(path(VERSION, "Lease", place, NAME)) or {"spec": {}}
    return not lease["spec"].get("holderIdentity")


@pytest.mark.case("clusters-1")
async def test_one_that_is_removed_under_its_holder_is_not_taken_while_that_may_act(api: Api) -> None:
    """Somebody deletes it: who stood by waits as if it had been renewed just now; its holder holds it again."""
    place = "removed"
    await api.send("POST", "/api/v1/namespaces", body={"metadata": {"name": place}})
    holder, other = (Lease(place, name, duration=2 * PATIENCE, retry=0.4, margin=2) for name in ("holder", "other"))
    async with running(api, holder):
        await until(holder.held)
        async with running(api, other):
            await until(lambda: other._seen is not None)
            for _ in range(5):
                await api.send("DELETE", path(VERSION, "Lease", place, NAME))
                while await is_nobodys(api, place):  # noqa: ASYNC110 - it tells nobody when it is taken
                    await asyncio.sleep(0.05)
                await until(holder.held)
                await asyncio.sleep(0.5)
                assert (holder.held(), other.held()) == (True, False)


@pytest.mark.case("clusters-1")
async def test_a_short_lease_is_waited_for_and_one_that_is_over_is_not(api: Api) -> None:
    """An act that would need more of it than is left waits for its renewal; each time it is taken is another term."""
    lease = Lease("shop", "short", duration=PATIENCE, retry=4, margin=2)
    most = PATIENCE - 5  # a second less than what is left when it is renewed
    async with running(api, lease) as (holding,):
        await until(lease.held)
        term = lease.term
        await until(lambda: not lease.held(most, term))
        assert await lease.lasts(most, term)
        holding.cancel()
        await asyncio.wait([holding])
        assert not await lease.lasts(0, term)
    async with running(api, lease):
        await until(lease.held)
        assert not lease.held(0, term)
        assert not await lease.lasts(0, term)
        assert await lease.lasts(0, lease.term)


@pytest.mark.case("clusters-1")
async def test_a_holder_that_is_cut_off_yields_before_another_takes_it(
    server: ApiServer, api: Api, tmp_path: Path
) -> None:
    """Never do both hold it; when the first is connected again, what it sent meanwhile takes nothing back."""
    with relayed(server, tmp_path) as relay:
        cut = Patient(await connection(str(relay.kubeconfig)))
        first, second = (Lease("shop", name, duration=15, retry=0.5, margin=2) for name in ("cut", "other"))
        async with running(cut, first):
            await until(first.held)
            async with running(api, second):
                os.kill(relay.pid, signal.SIGSTOP)
                await until(second.held)
                assert not first.held()
                term = second.term
                os.kill(relay.pid, signal.SIGCONT)
                await cut.send("GET", path(VERSION, "Lease", "shop", NAME))
                for _ in range(100):
                    assert not (second.held(0, term) and first.held())
                    await asyncio.sleep(0.02)
        await cut.close()
