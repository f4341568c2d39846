"""Debezium writes a change again, as it does after a restart: the second record is the same message."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Message

from headrace.kafka.messages import record_of
from headrace.record import Record
from tests.connect.capturing import Captured, Parts
from tests.waiting import until

SCHEMA = "CREATE TABLE orders (id int PRIMARY KEY, amount int); CREATE TABLE outbox (id uuid PRIMARY KEY, "
OUTBOX = "aggregatetype text, aggregateid text, type text, payload jsonb);"
COPY = "SELECT pg_copy_logical_replication_slot(slot_name, slot_name || '_again') FROM pg_replication_slots"
CHANGES = """
BEGIN; INSERT INTO orders VALUES (1, 10), (2, 20); UPDATE orders SET amount = 11 WHERE id = 1;
UPDATE orders SET amount = 12 WHERE id = 1; COMMIT; DELETE FROM orders WHERE id = 2;
"""


def again(parts: Parts, captured: Captured) -> Captured:
    """Remove a connector and let one that reads its topics' changes anew, from the slot's copy, take its place."""
    config = captured.ask("GET", "/config")
    captured.ask("DELETE", "")
    other = Captured(parts=parts, name=f"{captured.name}-again")
    slot = f"{config['slot.name']}_again"
    other.ask("PUT", "/config", config | {"name": other.name, "slot.name": slot})
    until("the second connector", lambda: [one["state"] for one in other.tasks()] == ["RUNNING"])
    return other


def ids(messages: list[Message]) -> list[str]:
    return [record.message_id for record in map(_record, messages)]


def _record(message: Message) -> Record:
    return record_of(message, "retry")


@pytest.mark.slow
@pytest.mark.parametrize("capture", ["tables", "outbox"])
def test_a_change_that_is_written_again_is_the_same_message(parts: Parts, capture: str) -> None:
    """Changes of one row in one transaction are different ones; tombstones, which say nothing, are not known again."""
    events = "INSERT INTO outbox SELECT gen_random_uuid(), 'order', '1', 'paid', '{}' FROM generate_series(1, 4);"
    wanted: dict[str, object] = {"outbox": {"table": "public.outbox"}}
    sql, topic, count = events, "outbox.order", 4
    if capture == "tables":
        wanted, sql, topic, count = {"tables": ["public.orders"]}, CHANGES, "public.orders", 6
    with parts.database() as database:
        database.sql(SCHEMA + OUTBOX)
        captured = database.capture(wanted, {"snapshot.mode": "no_data"})
        database.sql(f"{COPY} WHERE database = %s", (database.name,))
        database.sql(sql)
        captured.await_count(topic, count)
        other = again(parts, captured)
        found = captured.records(topic, 2 * count)
        other.ask("DELETE", "")

    first, second = ([one for one in half if one.value()] for half in (found[:count], found[count:]))
    assert len(first) == len(second) == (5 if capture == "tables" else 4)
    assert ids(first) == ids(second)
    assert len(set(ids(first))) == len(first)
    if capture == "tables":
        sources = [[json.loads(one.value())["source"] for one in half] for half in (first, second)]
        assert [one["lsn"] for one in sources[0]] == [one["lsn"] for one in sources[1]]
        assert not set(ids(found[5:6])) & set(ids(found[11:12]))


@pytest.mark.slow
def test_a_row_whose_key_changes_ends_at_one_key_and_begins_at_another(parts: Parts) -> None:
    """Of a row that a snapshot read and that changes afterwards, each change is a message of its own, in order."""
    with parts.database() as database:
        database.sql(SCHEMA + OUTBOX)
        database.sql("INSERT INTO orders VALUES (1, 10)")
        captured = database.capture({"tables": ["public.orders"]})
        captured.await_count("public.orders", 1)
        database.sql("UPDATE orders SET amount = 11 WHERE id = 1")
        database.sql("UPDATE orders SET id = 2 WHERE id = 1")
        found = captured.records("public.orders", 5)

    told = [(json.loads(one.key())["id"], one.value() and json.loads(one.value())["op"]) for one in found]
    assert told == [(1, "r"), (1, "u"), (1, "d"), (1, None), (2, "c")]
    assert len(set(ids(found))) == len(found)
