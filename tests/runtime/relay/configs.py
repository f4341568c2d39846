"""A relay's contract, for tests that need any."""

from __future__ import annotations

from headrace.config import Kafka
from headrace.outbox import Database, Relay

RELAY = Relay(
    namespace="shop",
    relay="orders",
    pipeline="orders",
    kafka=Kafka(bootstrap_servers="kafka:9092"),
    database=Database(dialect="postgresql", host="orders-db", port=5432, name="shop"),
    table="outbox",
    topic_prefix="shop.orders.outbox.",
)
