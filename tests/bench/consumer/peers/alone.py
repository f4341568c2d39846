"""An event loop and nothing else, with all records at hand: what order by key allows where a function waits 10 ms."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Collection, Sequence

from tests.bench.consumer.meter import Meter
from tests.bench.consumer.peers.bare import consumer


def read() -> Collection[Sequence[bytes]]:
    """Return the values of all records, those of a key in their order."""
    client, left = consumer(), int(os.environ["BENCH_RECORDS"])
    found: defaultdict[bytes, list[bytes]] = defaultdict(list)
    while left:
        for message in client.consume(1000, 0.1):
            found[message.key()].append(message.value())
            left -= 1
    return found.values()


async def main(keys: Collection[Sequence[bytes]]) -> None:
    """Wait 10 ms with each record, one of a key at a time."""
    meter = Meter()

    async def work(values: Sequence[bytes]) -> None:
        for value in values:
            meter.note(value)
            await asyncio.sleep(0.01)
            meter.note(value)

    await asyncio.gather(*map(work, keys))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(read()))
