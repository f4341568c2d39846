"""FastStream over aiokafka, by its cheapest way: one record a call, no parsing of bodies, no injection, no log."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from faststream.kafka import KafkaBroker

from tests.bench.consumer.meter import Meter

METER = Meter()


async def raw(message: Any, original: Any = None) -> bytes:
    """Leave a body as it is."""
    return bytes(message.body)


async def handle(body: bytes) -> None:
    """Do nothing."""
    METER.note(body)


async def main() -> None:
    """Run until ended."""
    broker = KafkaBroker(os.environ["BENCH_BOOTSTRAP"], logger=None, apply_types=False)

    subscribed = broker.subscriber(
        os.environ["BENCH_TOPIC"], group_id=os.environ["BENCH_GROUP"], auto_offset_reset="earliest", decoder=raw
    )
    subscribed(handle)
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
