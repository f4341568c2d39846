"""The demo's billing service: add each order's amount to its customer's balance, once.

It must not trust that a message arrives once, or that every message makes sense: the inbox recognises repetitions, and
what it cannot bill it refuses. libpq's environment says where its database is.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from aiohttp import web
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

from .orders import UNKNOWN_CURRENCY

PORT = 8080
WORK_SECONDS = 0.100
SCHEMA = Path(__file__).with_name("billing.sql").read_text()

POOL: web.AppKey[AsyncConnectionPool[AsyncConnection]] = web.AppKey("pool")

# One statement is one transaction: the inbox row, the balance and what the account reads appear together.
_BILL = """
WITH taken AS (
    INSERT INTO inbox (message) VALUES (%(message)s) ON CONFLICT DO NOTHING RETURNING message
), balance AS (
    INSERT INTO balances (customer, amount, received) SELECT %(customer)s, %(amount)s, 1 FROM taken
    ON CONFLICT (customer) DO UPDATE SET amount = balances.amount + excluded.amount, received = balances.received + 1
    RETURNING received
)
INSERT INTO deliveries (message, customer, sequence, position, attempt, redriven)
VALUES (%(message)s, %(customer)s, %(sequence)s, (SELECT received FROM balance), %(attempt)s, %(redriven)s)
"""


class Event(BaseModel):
    """What the shop says about an order."""

    order: int
    customer: int
    sequence: int
    amount: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One request: the message, and which attempt it is."""

    message: UUID
    attempt: int
    redriven: int
    event: Event


def is_unlucky(message: UUID, attempt: int, redriven: int) -> bool:
    """Say whether billing answers "try later": to about 1 % of first attempts, always the same ones."""
    digest = hashlib.sha256(message.bytes).digest()
    return attempt == 1 and redriven == 0 and int.from_bytes(digest[:4]) % 100 == 0


async def receive(request: web.Request) -> web.Response:
    """Answer ``POST /events``, a CloudEvent in binary mode: 204 billed, 503 try later, 422 refused."""
    delivery = await _delivery(request)
    begin = time.monotonic()
    if is_unlucky(delivery.message, delivery.attempt, delivery.redriven):
        response = web.Response(status=503, text="billing is busy, try later")
    else:
        async with request.app[POOL].connection() as connection:
            response = await _answer(connection, delivery)
    await asyncio.sleep(max(0.0, begin + WORK_SECONDS - time.monotonic()))
    return response


async def _delivery(request: web.Request) -> Delivery:
    headers = request.headers
    return Delivery(
        message=UUID(headers["ce-id"]),
        attempt=int(headers.get("headrace-attempt", "1")),
        redriven=int(headers.get("headrace-redriven", "0")),
        event=Event.model_validate_json(await request.read()),
    )


async def _answer(connection: AsyncConnection, delivery: Delivery) -> web.Response:
    event = delivery.event
    if event.currency == UNKNOWN_CURRENCY and not await _knows(connection, event.currency):
        await connection.execute(
            "INSERT INTO refusals (message) VALUES (%s) ON CONFLICT DO NOTHING", (delivery.message,)
        )
        return web.Response(status=422, text=f"order {event.order}: billing does not know currency {event.currency}")
    await bill(connection, delivery)
    return web.Response(status=204)


async def _knows(connection: AsyncConnection, currency: str) -> bool:
    cursor = await connection.execute("SELECT 1 FROM currencies WHERE name = %s", (currency,))
    return await cursor.fetchone() is not None


async def bill(connection: AsyncConnection, delivery: Delivery) -> None:
    """Make the effect of ``delivery`` when its message is new; note a repetition otherwise."""
    event = delivery.event
    await connection.execute(
        _BILL,
        {
            "message": delivery.message,
            "customer": event.customer,
            "sequence": event.sequence,
            "amount": event.amount,
            "attempt": delivery.attempt,
            "redriven": delivery.redriven,
        },
    )


async def switch(request: web.Request) -> web.Response:
    """Answer ``POST /switch``: from now on billing knows the currency of the refused orders."""
    async with request.app[POOL].connection() as connection:
        await connection.execute("INSERT INTO currencies VALUES (%s) ON CONFLICT DO NOTHING", (UNKNOWN_CURRENCY,))
    return web.Response(text=f"billing knows {UNKNOWN_CURRENCY} now\n")


async def health(request: web.Request) -> web.Response:
    """Answer ``GET /healthz`` when the database does."""
    async with request.app[POOL].connection(timeout=2) as connection:
        await connection.execute("SELECT 1")
    return web.Response(text="ok\n")


def application(url: str) -> web.Application:
    """Build the service over the database at ``url``; empty means libpq's environment."""

    async def pool(app: web.Application) -> AsyncIterator[None]:
        async with AsyncConnectionPool(
            url, min_size=4, max_size=16, open=False, connection_class=AsyncConnection, kwargs={"autocommit": True}
        ) as connections:
            await _make_tables(connections)
            app[POOL] = connections
            yield

    app = web.Application()
    app.cleanup_ctx.append(pool)
    app.add_routes([web.post("/events", receive), web.post("/switch", switch), web.get("/healthz", health)])
    return app


async def _make_tables(connections: AsyncConnectionPool[AsyncConnection]) -> None:
    """Create the tables; replicas that start together take turns."""
    async with connections.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(1)")
        await connection.execute(SCHEMA)


def main() -> None:
    """Run billing in a pod: ``python -m tests.demo.billing``."""
    web.run_app(application(""), port=PORT, access_log=None, print=None)


if __name__ == "__main__":
    main()
