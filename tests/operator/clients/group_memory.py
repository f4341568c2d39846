"""What the operator pays to know the committed offsets of many groups of one Kafka: memory, threads, processor time.

``python -m tests.operator.clients.group_memory SERVERS GROUPS`` asks about ``g0`` to ``gN``, of 12 partitions each, in
ticks as the operator does, and prints a line of JSON. With ``--apart`` each group has a client of its own, as it is
where brokers are older than Kafka 3.0.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from headrace_operator.clients.errors import Retryable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import Partition

PARTITIONS = 12
TICKS = 3
TOPIC = "offsets"
TOLD = "x" * 200
"""What is committed with an offset; a pod of Headrace's tells about as much."""


def main(servers: str, groups: int, *, apart: bool) -> None:
    """Measure and print."""
    print(json.dumps(asyncio.run(_measure(servers, groups, apart=apart))))


async def _measure(servers: str, groups: int, *, apart: bool) -> dict[str, float]:
    kafka = Kafka("kafka", {"bootstrap.servers": servers})
    if apart:
        kafka._outdated = True
    await _ask(kafka, 1)
    before, threads, begun = _resident(), _threads(), time.process_time()
    for _ in range(TICKS):
        found = await _ask(kafka, groups)
    spent = (time.process_time() - begun) / TICKS / groups
    gc.collect()
    seen = {
        "found": found,
        "kib_a_group": round((_resident() - before) / groups, 1),
        "threads": _threads() - threads,
        "ms_a_group_and_tick": round(spent * 1000, 3),
    }
    kafka.close()
    return seen


async def _ask(kafka: Kafka, groups: int) -> int:
    """Ask about all groups at once, and return of how many partitions a commit was found."""
    wanted = [(TOPIC, number) for number in range(PARTITIONS)]
    told = await asyncio.gather(*(_told(kafka, f"g{number}", wanted) for number in range(groups)))
    return sum(told)


async def _told(kafka: Kafka, group: str, wanted: list[Partition]) -> int:
    """Ask until there is an answer: the machine may be busy."""
    while True:
        try:
            return len(await kafka.committed(group, wanted))
        except Retryable:
            await asyncio.sleep(1)


def _resident() -> int:
    """Return the memory of this process in KiB."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1])


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), apart="--apart" in sys.argv)
