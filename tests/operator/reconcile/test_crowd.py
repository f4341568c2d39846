"""A crowd of Connectors and as many Consumers settles: nothing fails for want of time, and the Lease is kept.

While the API server itself is late nobody keeps a Lease: what fails then is not judged.
`make test` has a small crowd, `make faults` one of 100; ``CROWD=500`` sets how many, of which 500 need about two
minutes of one processor.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from headrace_operator.clients.api import Api, connection, path
from headrace_operator.reconcile.lease import NAME, VERSION
from tests.cluster import fast
from tests.operator import crowd, punctual, scraped
from tests.operator.operator_process import Operator, install, operator
from tests.operator.punctual import Punctuality

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(1800)]

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
@pytest.mark.parametrize("size", [40, pytest.param(SIZE, marks=pytest.mark.sweep)])
async def test_a_crowd_settles_and_stays_looked_at(empty: fast.ApiServer, api: Api, tmp_path: Path, size: int) -> None:
    """All is Ready; then each is looked at again and again, and nothing failed, from the first pass to the last."""
    async with AsyncExitStack() as stack:
        await crowd.connects(stack, CONNECTS)
        await crowd.create(api, crowd.resources(size, CONNECTS))
        await stack.enter_async_context(crowd.rolling_out(api))
        punctuality = await stack.enter_async_context(punctual.watched(api, crowd.PLACE))
        with operator(empty, tmp_path, program=crowd.PROGRAM) as running:
            settled = await _settled(api, running)
            seen = await _watched(running, punctuality, 30)
            lease = await api.send("GET", path(VERSION, "Lease", "headrace-system", NAME))
            assert running.stop() == 0
    late = punctuality.count()
    print(f"\n{size} + {size} settled within {settled:.0f} s; then {seen}; the API server was late {late} times")

    _assert_well(running, punctuality, seen)
    assert seen["delay"] <= LATE
    assert seen["looks"] >= size
    assert seen["leader"] == lease["spec"]["leaseTransitions"] == 1


@pytest.mark.case("clusters-3")
async def test_a_connect_that_hangs_holds_up_its_own_connectors_only(
    empty: fast.ApiServer, api: Api, tmp_path: Path
) -> None:
    """It hangs from the start: whatever is on another is Ready meanwhile, and all is once it answers."""
    size = 24
    held = {f"Connector db{number}" for number in range(0, size, 2)} | {"ConnectCluster c0"}
    async with AsyncExitStack() as stack:
        hanging, _ = await crowd.connects(stack, 2)
        hanging.hanging = True
        await crowd.create(api, crowd.resources(size, 2))
        await stack.enter_async_context(crowd.rolling_out(api))
        punctuality = await stack.enter_async_context(punctual.watched(api, crowd.PLACE))
        with operator(empty, tmp_path, program=crowd.PROGRAM) as running:
            await _settled(api, running, held)
            await _are_unreachable(api, held - {"ConnectCluster c0"})
            hanging.hanging = False
            await _settled(api, running)
            page = await scraped.page(running.metrics_port)
            assert running.stop() == 0

    _assert_well(running, punctuality, _ended(page))


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


async def _watched(running: Operator, punctuality: Punctuality, seconds: float) -> dict[str, float]:
    """Return what was seen in the next ``seconds`` on end in which the API server was never late."""
    async with asyncio.timeout(SETTLED):
        while True:
            begun = time.time()
            seen = await _seen(running, seconds)
            if not punctuality.lacked(begun, time.time()):
                return seen


async def _seen(running: Operator, seconds: float) -> dict[str, float]:
    """Return passes by outcome since the start, and of the next ``seconds`` the longest delay and the least leader."""
    begun, delays, leads = time.monotonic(), [0.0], [1.0]
    page = await scraped.page(running.metrics_port)
    at_first, cpu_at_first = _ended(page)["ok"], scraped.total(page, scraped.CPU)
    while time.monotonic() < begun + seconds:
        page = await scraped.page(running.metrics_port)
        delays.append(scraped.total(page, scraped.DELAY))
        leads.append(scraped.total(page, scraped.LEADER))
        await asyncio.sleep(5)
    counts = _ended(page)
    rate, cores = (counts["ok"] - at_first) / seconds, (scraped.total(page, scraped.CPU) - cpu_at_first) / seconds
    return {
        **counts,
        "rate": round(rate),
        "cores": round(cores, 2),
        "delay": round(max(delays), 1),
        "leader": min(leads),
        "looks": scraped.total(page, scraped.INTERVALS, kind="Consumer", le="+Inf"),
    }


def _ended(page: Collection[str]) -> dict[str, float]:
    """Return how many passes have ended since the start, by outcome."""
    return {word: scraped.total(page, scraped.PASSES, outcome=word) for word in ("ok", "failed", "bug")}


def _assert_well(running: Operator, punctuality: Punctuality, ended: Mapping[str, float]) -> None:
    """No pass failed and the Lease was never lost, but where the API server was late; each failure is in the log."""
    assert punctuality.unexcused(running.log) == []
    assert ended["bug"] == 0
    assert ended["failed"] <= running.log.read_text().count("; again in ")
