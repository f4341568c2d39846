"""The operator's metrics page: sums of series, read cheaply, as there may be a hundred thousand lines."""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp

PASSES = "headrace_operator_reconciliations_total"
INTERVALS = "headrace_operator_reconciliation_interval_seconds_bucket"
DELAY = "headrace_operator_queue_delay_seconds"
LEADER = "headrace_operator_leader"
CPU = "process_cpu_seconds_total"
MEMORY = "process_resident_memory_bytes"


async def page(port: int) -> list[str]:
    """Return the lines of the page at ``port`` of loopback."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        answer.raise_for_status()
        return (await answer.text()).splitlines()


def total(lines: Iterable[str], name: str, **labels: str) -> float:
    """Return the sum of the series ``name`` that have all ``labels``."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith((f"{name}{{", f"{name} ")) and all(one in line for one in wanted)
    )
