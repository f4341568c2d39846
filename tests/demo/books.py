"""Read the shop's and billing's databases for the account.

It must not judge what it reads, and changes nothing.
"""

from __future__ import annotations

from psycopg import Connection
from psycopg.rows import class_row

from .account import Books, Delivery, Order

_ORDERS = """
SELECT o.id, e.id AS message, o.customer, o.sequence, o.amount, pg_xact_commit_timestamp(e.xmin) AS committed
FROM public.orders o LEFT JOIN public.outbox e ON (e.payload ->> 'order')::bigint = o.id
"""
_DELIVERIES = """
SELECT message, customer, sequence, position, redriven, pg_xact_commit_timestamp(xmin) AS committed FROM deliveries
"""


def read(shop: Connection, billing: Connection) -> Books:
    """Read both databases; they need ``track_commit_timestamp``. Raises ``psycopg.Error``."""
    return Books(
        orders=tuple(shop.cursor(row_factory=class_row(Order)).execute(_ORDERS)),
        deliveries=tuple(billing.cursor(row_factory=class_row(Delivery)).execute(_DELIVERIES)),
        balances=dict(billing.execute("SELECT customer, amount FROM balances").fetchall()),
        refused=frozenset(row[0] for row in billing.execute("SELECT message FROM refusals")),
    )
