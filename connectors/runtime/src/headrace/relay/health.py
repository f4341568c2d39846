"""Whether a relay's pod is alive and ready.

Liveness fails only when the loop stands still: a database or a Kafka that is away is no reason to restart.
"""

from __future__ import annotations

import asyncio

from headrace import outbox, probes
from headrace.relay.metrics import Metrics
from headrace.relay.standing import Standing

SILENT = 60.0
"""Seconds without a turn of the loop."""


async def serve(standing: Standing, metrics: Metrics, port: int) -> asyncio.Server:
    """Listen on ``port`` of all addresses until the server is closed. Raises ``OSError`` when it is taken."""

    def alive() -> probes.Answer:
        return standing.silence < SILENT, f"the loop last turned {standing.silence:.0f} s ago"

    def ready() -> probes.Answer:
        if standing.troubles:
            return False, "; ".join(standing.troubles.values())
        return standing.looked or standing.figures is not None, "the table is read"

    told = {outbox.STANDING: lambda: standing.told.model_dump_json(exclude_none=True)}
    return await probes.serve(alive, ready, metrics.registry, port, told)
