"""Whether a consumer pod is alive and ready.

Liveness fails only when the poll thread stands still or a partition is surely stuck; a slow or failing handler is no
reason to restart.
"""

from __future__ import annotations

import asyncio
import time

from headrace import probes
from headrace.metrics import Metrics
from headrace.worker.poll import Poller

SILENT = 30.0
"""Seconds without a turn of the poll thread."""


async def serve(poller: Poller, metrics: Metrics, port: int) -> asyncio.Server:
    """Listen on ``port`` of all addresses until the server is closed. Raises ``OSError`` when it is taken."""

    def alive() -> probes.Answer:
        silent = time.monotonic() - poller.beat
        if poller.stalls.stuck:
            return False, f"records in Kafka that do not come: {poller.stalls.stuck}"
        return silent < SILENT, f"the poll thread last turned {silent:.0f} s ago"

    def ready() -> probes.Answer:
        if poller.stalls.stalled:
            return False, f"records in Kafka that do not come: {poller.stalls.stalled}"
        if poller.refusal:
            return False, poller.refusal
        return poller.ready, "partitions assigned" if poller.ready else "not assigned, stopped or stopping"

    return await probes.serve(alive, ready, metrics.registry, port)
