"""A crowd of Connectors and as many Consumers settles: nothing fails for want of time, and the Lease is kept.

``CROWD=500`` sets how many; 500 need about two minutes of one processor.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.lease import NAME, VERSION
from tests.cluster import fast
from tests.operator import crowd, scraped
from tests.operator.operator_process import Operator, install, operator

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(900)]

SIZE = int(os.environ.get("CROWD", "100"))
CONNECTS = 10
SETTLED = 800.0
"""Seconds within which everything is Ready, beside other work on the same processors."""

LATE = 120.0
"""Seconds by which a pass may be late: beside other work the tick is longer, and nothing starves.

On processors of its own it is 15, three ticks of a Consumer.
"""


@pytest.fixture
def empty() -> Iterator[fast.ApiServer]:
    """Run an API server of its own: the crowd is nobody else's."""
    with fast.apiserver() as running:
        install(running)
        running.client.create_namespace("headrace-system")
        crowd.prepare(running, crowd.PLACE)
        yield running


@pytest.fixture
async def api(empty: fast.ApiServer) -> AsyncIterator[Api]:
    made = crowd.Patient(await connection(str(empty.kubeconfig)))
    yield made
    await made.close()


@pytest.mark.case("clusters-1")
async def test_a_crowd_settles_and_stays_looked_at(empty: fast.ApiServer, api: Api, tmp_path: Path) -> None:
    """All is Ready; then each is looked at again and again, and nothing failed, from the first pass to the last."""
    async with AsyncExitStack() as stack:
        await crowd.connects(stack, CONNECTS)
        await crowd.create(api, crowd.resources(SIZE, CONNECTS))
        await stack.enter_async_context(crowd.rolling_out(api))
        with operator(empty, tmp_path, program=crowd.PROGRAM) as running:
            settled = await _settled(api, running)
            seen = await _watched(running, 30)
            lease = await api.send("GET", path(VERSION, "Lease", "headrace-system", NAME))
            assert running.stop() == 0
    print(f"\n{SIZE} + {SIZE} settled within {settled:.0f} s; then {seen}")

    complaints = [line for line in running.log.read_text().splitlines() if "level=info" not in line]
    assert seen["failed"] == seen["bug"] == 0, "\n".join(complaints[:20])
    assert seen["delay"] <= LATE
    assert seen["looks"] >= SIZE
    assert seen["leader"] == lease["spec"]["leaseTransitions"] == 1
    assert running.log.read_text().count("Hold the Lease") == 1


@pytest.mark.case("clusters-3")
async def test_a_connect_that_hangs_holds_up_its_own_connectors_only(
    empty: fast.ApiServer, api: Api, tmp_path: Path
) -> None:
    """It hangs from the start: whatever is on another is Ready meanwhile, and all is once it answers."""
    size = 60
    held = {f"Connector db{number}" for number in range(0, size, 2)} | {"ConnectCluster c0"}
    async with AsyncExitStack() as stack:
        hanging, _ = await crowd.connects(stack, 2)
        hanging.hanging = True
        await crowd.create(api, crowd.resources(size, 2))
        await stack.enter_async_context(crowd.rolling_out(api))
        with operator(empty, tmp_path, program=crowd.PROGRAM) as running:
            await _settled(api, running, held)
            await _are_unreachable(api, held - {"ConnectCluster c0"})
            hanging.hanging = False
            await _settled(api, running)
            page = await scraped.page(running.metrics_port)
            assert running.stop() == 0

    assert [scraped.total(page, scraped.PASSES, outcome=word) for word in ("failed", "bug")] == [0, 0]


async def _are_unreachable(api: Api, connectors: Collection[str]) -> None:
    async with asyncio.timeout(SETTLED):
        while {(await crowd.unready(api)).get(name) for name in connectors} != {"ConnectUnreachable"}:  # noqa: ASYNC110
            await asyncio.sleep(1)


async def _settled(api: Api, running: Operator, besides: Collection[str] = ()) -> float:
    """Wait until everything ``besides`` those is Ready, and return how many seconds that took."""
    begun = time.monotonic()
    while missing := [one for one in (await crowd.unready(api)).items() if one[0] not in besides]:
        seconds, counts = time.monotonic() - begun, Counter(f"{name.split()[0]} {reason}" for name, reason in missing)
        print(f"{seconds:4.0f} s: {dict(counts)}")
        assert running.process.poll() is None, running.log.read_text()[-3000:]
        assert seconds < SETTLED, f"{counts}\n{running.log.read_text()[-3000:]}"
        await asyncio.sleep(3)
    return time.monotonic() - begun


async def _watched(running: Operator, seconds: float) -> dict[str, float]:
    """Return passes by outcome since the start, and of the next ``seconds`` the longest delay and the least leader."""
    begun, delays, leads, counts = time.monotonic(), [0.0], [1.0], dict[str, float]()
    page = await scraped.page(running.metrics_port)
    at_first, cpu_at_first = scraped.total(page, scraped.PASSES, outcome="ok"), scraped.total(page, scraped.CPU)
    while time.monotonic() < begun + seconds:
        page = await scraped.page(running.metrics_port)
        counts = {word: scraped.total(page, scraped.PASSES, outcome=word) for word in ("ok", "failed", "bug")}
        delays.append(scraped.total(page, scraped.DELAY))
        leads.append(scraped.total(page, scraped.LEADER))
        await asyncio.sleep(5)
    rate, cores = (counts["ok"] - at_first) / seconds, (scraped.total(page, scraped.CPU) - cpu_at_first) / seconds
    return {
        **counts,
        "rate": round(rate),
        "cores": round(cores, 2),
        "delay": round(max(delays), 1),
        "leader": min(leads),
        "looks": scraped.total(page, scraped.INTERVALS, kind="Consumer", le="+Inf"),
    }
