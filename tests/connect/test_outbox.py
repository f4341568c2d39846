"""What an outbox row becomes, through a real Kafka Connect: key, payload and headers, of whatever type they are."""

from __future__ import annotations

import json

import pytest

from tests.connect.capturing import Parts

pytestmark = pytest.mark.slow

UUID = b"7d5e8f9a-0000-4000-8000-000000000001"
TYPES = "CREATE EXTENSION hstore; CREATE TYPE address AS (street text, number int);"


def outbox(columns: str) -> str:
    """Return the statement that makes an outbox table with these columns beside its id and route."""
    return f"CREATE TABLE public.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text, {columns});"


def read(value: bytes | None, like: object) -> object:
    """Return a payload, parsed where JSON is expected."""
    return json.loads(value) if value and not isinstance(like, bytes) else value


@pytest.mark.case("databases-7")
def test_a_table_without_the_columns_of_type_and_trace_is_an_outbox(parts: Parts) -> None:
    row = "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES ('order', '1', '{}');"
    with parts.database() as database:
        database.sql(outbox("aggregateid text, payload jsonb") + row)
        captured = database.capture({"outbox": {"table": "public.outbox", "columns": {"traceparent": "trace"}}})
        database.sql(row)
        seen = captured.records("outbox.order", 2)

    assert [(one.key(), one.value()) for one in seen] == [(b"1", b"{}")] * 2
    assert not {name for one in seen for name, _ in one.headers() or ()} & {"eventType", "traceparent"}


@pytest.mark.case("databases-7")
@pytest.mark.parametrize(
    ("key", "payload", "values", "expected"),
    [
        ("text", "bytea", r"'1', '\x0a03616263'", (b"1", b"\x0a\x03abc")),
        ("numeric", "text", "42, 'plain'", (b"42", b"plain")),
        ("numeric(10, 2)", "numeric", "42, 0.075", (b"42.00", b"0.075")),
        ("bytea", "json", r"""'\x00ff', '{"a":  1}'""", (b"\x00\xff", b'{"a":  1}')),
        ("uuid", "text[]", "'7d5e8f9a-0000-4000-8000-000000000001', '{a,NULL,\"b c\"}'", (UUID, ["a", None, "b c"])),
        ("bigint", "hstore", """7, 'a=>1, b=>NULL'""", (b"7", {"a": "1", "b": None})),
        ("boolean", "double precision", "true, 1.5", (b"true", b"1.5")),
        ("date", "timestamp[]", "'2026-03-01', '{2026-03-01 10:00}'", (b"2026-03-01", ["2026-03-01T10:00:00"])),
        ("text", "address", "'1', ROW('main', 5)", (b"1", b"(main,5)")),
        ("text", "text", "NULL, NULL", (None, None)),
    ],
)
def test_keys_and_payloads_of_any_type_can_be_read(
    parts: Parts, key: str, payload: str, values: str, expected: tuple[object, object]
) -> None:
    row = f"INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES ('order', {values});"
    with parts.database() as database:
        database.sql(TYPES + outbox(f"aggregateid {key}, type text, payload {payload}") + row)
        captured = database.capture({"outbox": {"table": "public.outbox"}})
        database.sql(row)
        seen = captured.records("outbox.order", 2)

    assert [(one.key(), read(one.value(), expected[1])) for one in seen] == [expected] * 2
