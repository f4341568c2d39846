"""Billing over a real database: an effect happens once, and what it cannot bill it refuses."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal

import psycopg
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from tests.demo import billing
from tests.postgres_server import PostgresServer

ORDER = {"order": 1, "customer": 7, "sequence": 1, "amount": "12.50", "currency": "EUR"}


def lucky() -> uuid.UUID:
    """Return a message whose first attempt is not turned away."""
    return next(message for message in iter(uuid.uuid4, None) if not billing.is_unlucky(message, 1, 0))


def headers(message: uuid.UUID, attempt: int = 1) -> dict[str, str]:
    """Return the headers that the runtime sends."""
    return {"ce-id": str(message), "headrace-attempt": str(attempt), "content-type": "application/json"}


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """Give one test an empty database."""
    return postgres_server.create_database("billing_service")


@pytest_asyncio.fixture
async def client(database: str) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]  # aiohttp's own parameters
    """Run billing on a free port."""
    async with TestClient(TestServer(billing.application(database))) as client:
        yield client


@pytest.mark.parametrize("times", [1, 3])
async def test_a_message_takes_effect_once(client: TestClient, database: str, times: int) -> None:  # type: ignore[type-arg]
    """Repeated deliveries are accepted, noted, and change no balance."""
    message = lucky()

    answers = [(await client.post("/events", json=ORDER, headers=headers(message))).status for _ in range(times)]

    assert answers == [204] * times
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT customer, amount FROM balances").fetchall() == [(7, Decimal("12.50"))]
        assert connection.execute("SELECT count(*), count(position) FROM deliveries").fetchone() == (times, 1)


async def test_poison_is_refused_until_the_switch(client: TestClient, database: str) -> None:  # type: ignore[type-arg]
    """An unknown currency is refused for good, and billed after the switch."""
    message = lucky()
    poisoned = ORDER | {"currency": "XTS"}

    refused = await client.post("/events", json=poisoned, headers=headers(message))
    await client.post("/switch")
    billed = await client.post("/events", json=poisoned, headers=headers(message) | {"headrace-redriven": "1"})

    assert (refused.status, billed.status) == (422, 204)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT message FROM refusals").fetchall() == [(message,)]
        assert connection.execute("SELECT redriven, position FROM deliveries").fetchall() == [(1, 1)]


async def test_unlucky_first_attempts_are_told_to_try_later(client: TestClient) -> None:  # type: ignore[type-arg]
    """About one in a hundred first attempts gets 503, its second succeeds."""
    unlucky = next(message for message in iter(uuid.uuid4, None) if billing.is_unlucky(message, 1, 0))

    first = await client.post("/events", json=ORDER, headers=headers(unlucky))
    second = await client.post("/events", json=ORDER, headers=headers(unlucky, attempt=2))

    assert (first.status, second.status) == (503, 204)


def test_one_in_a_hundred_is_unlucky() -> None:
    """The share is about 1 %."""
    messages = [uuid.UUID(int=number) for number in range(20_000)]

    unlucky = sum(billing.is_unlucky(message, 1, 0) for message in messages)

    assert 150 < unlucky < 250
