"""What an outbox row becomes, through a real Kafka Connect: key, payload and headers, of whatever type they are."""

from __future__ import annotations

import json

import pytest

from headrace_operator.observed.connect import ConnectorSeen, TaskSeen
from headrace_operator.plan import debezium, outbox_rows, restarts
from tests.connect.capturing import Captured, Parts
from tests.waiting import until

UUID = b"7d5e8f9a-0000-4000-8000-000000000001"
TYPES = "CREATE EXTENSION hstore; CREATE TYPE address AS (street text, number int);"

ROUTES: tuple[tuple[str | None, str], ...] = (
    ("order created", "order_created"),
    ("a/b", "a_b"),
    ("Bestellübersicht", "Bestell_bersicht"),
    ("🙂", "__"),
    ("", "unrouted"),
    (None, "unrouted"),
    (".", "."),
    ("Order-1_x", "Order-1_x"),
)
"""Routes, and what they are in the name of a topic."""


def outbox(columns: str) -> str:
    """Return the statement that makes an outbox table with these columns beside its id and route."""
    return f"CREATE TABLE public.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text, {columns});"


def read(value: bytes | None, like: object) -> object:
    """Return a payload, parsed where JSON is expected."""
    return json.loads(value) if value and not isinstance(like, bytes) else value


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.case("databases-8")
def test_no_route_stops_the_rows_of_others(parts: Parts) -> None:
    """Each goes to the topic that the operator names for Consumers of that route."""
    long = "o" * 300
    row = "INSERT INTO outbox (aggregatetype, aggregateid, payload) VALUES (%s, '1', %s);"
    with parts.database() as database:
        database.sql(outbox("aggregateid text, payload text"))
        database.sql(row, (None, "in the snapshot"))
        captured = database.capture({"outbox": {"table": "public.outbox"}})
        for route, _ in ROUTES:
            database.sql(row, (route, str(route)))
        database.sql(row, (long, "long"))
        seen = {name: [one.value() for one in captured.records(f"outbox.{name}", 1)] for _, name in ROUTES}
        unrouted = captured.records("outbox.unrouted", 3)
        topic = debezium.topic(captured.name, route=long)
        (cut,) = captured.records(topic.removeprefix(f"{captured.name}."), 1)
        states = [task["state"] for task in captured.tasks()]
        log = parts.worker.log

    assert {debezium.topic(captured.name, route=route or "") for route, _ in ROUTES} == {
        f"{captured.name}.outbox.{name}" for name in seen
    }
    assert seen["order_created"] == [b"order created"]
    assert [one.value() for one in unrouted] == [b"in the snapshot", b"", b"None"]
    assert (cut.value(), len(topic), states) == (b"long", 249, ["RUNNING"])
    ids = [dict(one.headers() or ())["id"].decode() for one in unrouted]
    assert [log.count(f"{id} has no route: it goes to unrouted") for id in ids] == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.case("databases-8")
def test_a_route_may_be_a_number(parts: Parts) -> None:
    with parts.database() as database:
        database.sql(
            "CREATE TABLE public.outbox (id int PRIMARY KEY, aggregatetype int, aggregateid text, payload text);"
        )
        database.sql("INSERT INTO outbox VALUES (1, 7, 'a', 'b');")
        captured = database.capture({"outbox": {"table": "public.outbox"}})
        database.sql("INSERT INTO outbox VALUES (2, 7, 'a', 'b'), (3, NULL, 'a', 'c');")
        seen = captured.records("outbox.7", 2)
        (unrouted,) = captured.records("outbox.unrouted", 1)

    assert [(one.key(), one.value()) for one in (*seen, unrouted)] == [(b"a", b"b"), (b"a", b"b"), (b"a", b"c")]


def failure(captured: Captured) -> restarts.Failure:
    """Wait until the task has failed, and return what is told of it."""
    found: list[restarts.Failure] = []

    def has_failed() -> bool:
        tasks = tuple(
            TaskSeen(id=n, worker="", state=one["state"], trace=one.get("trace"))
            for n, one in enumerate(captured.tasks())
        )
        seen = restarts.failure(ConnectorSeen(name=captured.name, config={}, state="RUNNING", trace=None, tasks=tasks))
        found.extend(filter(None, [seen]))
        return bool(found)

    until(f"{captured.name} failing", has_failed)
    return found[0]


@pytest.mark.slow
@pytest.mark.case("databases-8")
@pytest.mark.parametrize(
    ("kind", "ids", "name"),
    [
        ("uuid", ("7d5e8f9a-0000-4000-8000-000000000001", "7d5e8f9a-0000-4000-8000-000000000002"), None),
        ("text", ("a, b%ü\n", "c"), "a%2C+b%25%C3%BC%0A"),
        ("numeric", ("7.50", "8"), None),
    ],
)
def test_a_row_that_is_too_large_is_named_and_passed_by(
    parts: Parts, kind: str, ids: tuple[str, str], name: str | None
) -> None:
    """Whatever its id is; what comes after it arrives."""
    named, row = name or ids[0], "INSERT INTO outbox VALUES (%s, 'order', '1', %s);"
    with parts.database() as database:
        columns = f"id {kind} PRIMARY KEY, aggregatetype text, aggregateid text, payload text"
        database.sql(f"CREATE TABLE outbox ({columns});")
        captured = database.capture({"outbox": {"table": "public.outbox"}})
        config = dict(captured.ask("GET", "/config"))
        database.sql(row, (ids[0], "x" * 1_100_000))
        found = failure(captured)
        captured.ask("PUT", "/stop")
        until(f"{captured.name} stopped", lambda: not captured.tasks())
        captured.ask("PUT", "/config", {**config, **outbox_rows.passed_by((named,))})
        captured.ask("PUT", "/resume")
        captured.await_running()
        database.sql(row, (ids[1], "small"))
        (seen,) = captured.records("outbox.order", 1)
        log = parts.worker.log

    assert (found.cause.name, found.row) == ("Row", named)
    assert "key and payload have 1100001 bytes, and a record may have 1048576" in found.told
    assert seen.value() == b"small"
    assert f"The outbox row with id {named} is passed by" in log
