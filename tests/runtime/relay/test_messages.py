"""A row becomes what a captured outbox would make of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from headrace.relay.messages import row
from headrace_operator.plan import debezium


@pytest.mark.parametrize("route", ["order", "", "a b/c", "Grüße", "\U0001f600", "x" * 300, "ä" * 300])
def test_a_route_has_the_topic_that_debezium_gives_it(route: str) -> None:
    assert row(_read(type=route), "shop.orders.outbox.").record.topic == debezium.topic("shop.orders", route=route)


def _read(**given: Any) -> tuple[Any, ...]:
    found = {
        "id": 7, "failures": None, "lane": "k", "route": "order", "message": "m", "type": "order", "payload": "{}",
        "key": "k", "topic": None, "trace": None,
    } | given  # fmt: skip
    return tuple(found.values())


@pytest.mark.parametrize(
    ("given", "expected"),
    [("text", b"text"), (b"\x00\xff", b"\x00\xff"), (memoryview(b"ab"), b"ab"), (42, b"42"), (Decimal("1E+3"), b"1000"),
     (None, None)],
)  # fmt: skip
def test_values_travel_as_they_are(given: Any, expected: bytes | None) -> None:
    found = row(_read(payload=given, key=given), "p.")

    assert (found.record.value, found.record.key) == (expected, expected)


def test_headers_are_those_that_are_there() -> None:
    assert dict(row(_read(), "p.").record.headers) == {"id": b"m", "eventType": b"order"}
    assert dict(row(_read(trace="00-a-b-01"), "p.").record.headers)["traceparent"] == b"00-a-b-01"


def test_a_column_for_the_topic_goes_before_the_type() -> None:
    assert row(_read(topic="paid"), "p.").record.topic == "p.paid"
    assert row(_read(topic=""), "p.").record.topic == "p.order"
    assert row(_read(topic=None, type=None), "p.").record.topic == "p.unrouted"
