"""Where the operator listens: at every address of its pod, whichever family that has."""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from headrace_operator.handlers import telling
from tests.ports import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_probes_and_prometheus_are_answered(host: str) -> None:
    """Pods of a cluster without IPv4 have no other address."""
    health, page = free_port(), free_port()
    async with AsyncExitStack() as stack, aiohttp.ClientSession() as session:
        await telling.health(stack, health, lambda: None)
        await telling.metrics(stack, page, CollectorRegistry(), lambda: None)
        for at in (f"{health}/healthz", f"{page}/readyz", f"{page}/metrics"):
            async with session.get(f"http://{host}:{at}") as answer:
                assert answer.status == 200
