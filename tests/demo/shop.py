"""The demo's shop: place orders, each with its outbox row in one transaction.

It must not talk to anything but its own database (libpq's environment says where), and it deletes nothing: commit
times are read from the rows later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import psycopg

from . import orders
from .orders import Order

TABLES = Path(__file__).with_name("shop.sql")
SCHEMA = TABLES.read_text()

WORKERS = 6
BATCH = 100

# One statement is one transaction: both rows appear together or not at all. Placing an order again does nothing.
_PLACE = """
WITH placed AS (
    INSERT INTO public.orders (id, customer, sequence, amount, currency)
    VALUES (%(id)s, %(customer)s, %(sequence)s, %(amount)s, %(currency)s)
    ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO public.outbox (aggregatetype, aggregateid, type, payload, traceparent)
SELECT 'order', %(key)s::text, 'OrderPlaced', %(payload)s::jsonb, %(traceparent)s::text FROM placed
"""


async def place(url: str, first: int, count: int, *, hurry: bool = False) -> None:
    """Place ``count`` orders from id ``first`` on, at the story's pace, or as fast as possible in a ``hurry``."""
    schedule = [0.0] * count if hurry else orders.due(count)
    begin = time.monotonic()
    shares: list[list[tuple[float, Order]]] = [[] for _ in range(WORKERS)]
    for when, order in zip(schedule, orders.orders(first, count), strict=True):
        shares[order.customer % WORKERS].append((begin + when, order))
    async with asyncio.TaskGroup() as group:
        for share in shares:
            group.create_task(_worker(url, share))


async def _worker(url: str, share: Sequence[tuple[float, Order]]) -> None:
    """Place the orders of one share of the customers in their order, so that sequences commit in order."""
    waiting = deque(share)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while waiting:
            await asyncio.sleep(max(0.0, waiting[0][0] - time.monotonic()))
            async with connection.pipeline() as pipeline:
                for _ in range(BATCH):
                    if not waiting or waiting[0][0] > time.monotonic():
                        break
                    await connection.execute(_PLACE, _parameters(waiting.popleft()[1]), prepare=True)
                    await pipeline.sync()


def _parameters(order: Order) -> dict[str, object]:
    event = {
        "order": order.id,
        "customer": order.customer,
        "sequence": order.sequence,
        "amount": str(order.amount),
        "currency": order.currency,
    }
    return {
        "id": order.id,
        "customer": order.customer,
        "sequence": order.sequence,
        "amount": order.amount,
        "currency": order.currency,
        "key": str(order.customer),
        "payload": json.dumps(event),
        "traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
    }


def main() -> None:
    """Run the shop in a pod: ``python -m tests.demo.shop --orders 20000 --first 1``."""
    parser = argparse.ArgumentParser(prog="shop")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    begin = time.monotonic()
    asyncio.run(place("", options.first, options.orders))
    print(f"placed {options.orders} orders in {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
