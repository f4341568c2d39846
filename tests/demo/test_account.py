"""The account, over two real databases: right books add up, and doctored ones are found out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import psycopg
import pytest

from tests.demo import account, billing, books, orders, shop
from tests.postgres_server import PostgresServer

ORDERS = 600
REPEATED = 12


@dataclass(frozen=True, kw_only=True)
class Databases:
    """The shop's and billing's databases, open."""

    shop: psycopg.Connection
    billing: psycopg.Connection

    def account(self) -> account.Account:
        """Read both and add up."""
        return account.account(books.read(self.shop, self.billing))


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer) -> tuple[str, str]:
    """Place orders and bill them in order, five of them only after the others, and some twice."""
    names = ("shop_template", "billing_template")
    shop_url, billing_url = (postgres_server.create_database(name) for name in names)
    for url, schema in ((shop_url, shop.SCHEMA), (billing_url, billing.SCHEMA)):
        with psycopg.connect(url) as connection:
            connection.execute(schema)
    asyncio.run(shop.place(shop_url, 1, ORDERS, hurry=True))
    asyncio.run(_bill(shop_url, billing_url))
    return names


@pytest.fixture
def databases(postgres_server: PostgresServer, filled: tuple[str, str]) -> Iterator[Databases]:
    """Give the books to one test: what it changes is rolled back."""
    shop_url, billing_url = (postgres_server.url(name) for name in filled)
    with psycopg.connect(shop_url) as placed, psycopg.connect(billing_url) as billed:
        yield Databases(shop=placed, billing=billed)
        placed.rollback()
        billed.rollback()


async def _bill(shop_url: str, billing_url: str) -> None:
    async with (
        await psycopg.AsyncConnection.connect(shop_url) as placed,
        await psycopg.AsyncConnection.connect(billing_url, autocommit=True) as billed,
    ):
        rows = await (
            await placed.execute("SELECT id, payload FROM outbox ORDER BY (payload ->> 'order')::int")
        ).fetchall()
        events = [(message, billing.Event.model_validate(payload)) for message, payload in rows]
        refused = [(message, event) for message, event in events if event.currency == orders.UNKNOWN_CURRENCY]
        accepted = [(message, event) for message, event in events if event.currency == orders.KNOWN_CURRENCY]
        for message, _ in refused:
            await billed.execute("INSERT INTO refusals VALUES (%s)", (message,))
        for message, event in [*accepted, *accepted[:REPEATED]]:
            await billing.bill(billed, billing.Delivery(message=message, attempt=1, redriven=0, event=event))
        for message, event in refused:
            await billing.bill(billed, billing.Delivery(message=message, attempt=1, redriven=1, event=event))


def test_right_books_add_up(databases: Databases) -> None:
    """Every order has one effect, and the line says so."""
    customers = len({order.customer for order in orders.orders(1, ORDERS)})

    seen = databases.account()

    assert seen.faults == ()
    assert seen.line().startswith(
        f"orders {ORDERS} · effects {ORDERS} · lost 0 · balances right {customers}/{customers}"
        f" · order per customer kept {ORDERS - 5}/{ORDERS - 5} · redriven 5 (after later orders: 3)"
        f" · repeated deliveries {REPEATED}, all recognised · dead letters 5 → 0 · commit-to-effect p50/p95/p99 "
    )
    assert seen.latency is not None
    assert seen.latency[0].total_seconds() > 0


def test_a_lost_row_is_found(databases: Databases) -> None:
    """An order without an effect is lost, also when the balance was made to fit."""
    message = _some_message(databases)
    databases.billing.execute("DELETE FROM deliveries WHERE message = %s", (message,))

    seen = databases.account()

    assert (seen.lost, seen.effects) == (1, ORDERS - 1)
    assert "1 orders have no effect" in seen.faults[0]
    assert str(message) in seen.faults[0]


def test_a_doubled_effect_is_found(databases: Databases) -> None:
    """A message that took effect twice is named."""
    message = _some_message(databases)
    databases.billing.execute(
        "INSERT INTO deliveries (message, customer, sequence, position, attempt, redriven)"
        " SELECT message, customer, sequence, position, attempt, redriven FROM deliveries"
        " WHERE message = %s AND position IS NOT NULL",
        (message,),
    )

    seen = databases.account()

    assert seen.effects == ORDERS + 1
    assert seen.faults == (f"1 messages had more than one effect: {message}",)


def test_a_swapped_pair_is_found(databases: Databases) -> None:
    """Two effects of a customer in the wrong order are one record out of order."""
    customer = _busy_customer(databases)
    databases.billing.execute(
        "UPDATE deliveries SET position = 3 - position WHERE customer = %s AND position IN (1, 2)", (customer,)
    )

    seen = databases.account()

    assert seen.in_order == ORDERS - 6
    assert len(seen.faults) == 1
    assert f"customer {customer} sequence 1" in seen.faults[0]


def test_a_wrong_balance_is_found(databases: Databases) -> None:
    """A balance that is a cent off names its customer."""
    databases.billing.execute("UPDATE balances SET amount = amount + %s WHERE customer = 7", (Decimal("0.01"),))

    seen = databases.account()

    assert seen.balances_right == seen.customers - 1
    assert len(seen.faults) == 1
    assert "1 balances are wrong: customer 7 has" in seen.faults[0]


def test_a_missing_outbox_row_is_a_lost_order(databases: Databases) -> None:
    """An order that never reached the outbox counts as lost, and its effect belongs to no order."""
    databases.shop.execute("DELETE FROM outbox WHERE payload ->> 'order' = '10'")

    seen = databases.account()

    assert seen.lost == 1
    assert [fault.split(":")[0] for fault in seen.faults] == ["1 orders have no effect", "1 effects belong to no order"]


def test_an_outstanding_dead_letter_is_found(databases: Databases) -> None:
    """A refused message without an effect is still outstanding."""
    message = uuid.uuid4()
    databases.billing.execute("INSERT INTO refusals VALUES (%s)", (message,))

    seen = databases.account()

    assert (seen.dead_letters, seen.outstanding) == (6, 1)
    assert seen.faults == (f"1 dead letters were never handled: {message}",)


def test_a_repetition_without_an_effect_is_found(databases: Databases) -> None:
    """A delivery taken for a repetition although nothing took effect is not recognised."""
    databases.billing.execute(
        "INSERT INTO deliveries (message, customer, sequence, position, attempt, redriven)"
        " VALUES (gen_random_uuid(), 1, 1, NULL, 1, 0)"
    )

    seen = databases.account()

    assert (seen.repeated, seen.recognised) == (REPEATED + 1, REPEATED)
    assert len(seen.faults) == 1


def _some_message(databases: Databases) -> uuid.UUID:
    row = databases.billing.execute(
        "SELECT max(message::text)::uuid FROM deliveries WHERE message NOT IN (SELECT message FROM refusals)"
        " AND message IN (SELECT message FROM deliveries GROUP BY message HAVING count(*) = 1)"
    ).fetchone()
    assert row is not None
    return uuid.UUID(str(row[0]))


def _busy_customer(databases: Databases) -> int:
    row = databases.billing.execute(
        "SELECT customer FROM deliveries GROUP BY customer HAVING count(*) > 1 AND max(redriven) = 0 ORDER BY 1 LIMIT 1"
    ).fetchone()
    assert row is not None
    return int(row[0])
