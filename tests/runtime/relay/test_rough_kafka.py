"""A database and a Kafka that are treated roughly: killed, locked against each other, without the topics there were."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psycopg
import pymysql
import pytest

from headrace.outbox import FAILED, PROCESSED, Relay
from tests.kafka_broker import KafkaBroker
from tests.postgres_server import created, served
from tests.runtime.relay import outboxes
from tests.runtime.relay.outboxes import Outbox, by_key, relaying, says
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

ROWS, KEYS = 5000, 97


def rows(begin: int, end: int) -> list[tuple[str | None, str]]:
    """Return rows of keys and numbers."""
    return [(f"key-{n % KEYS}", json.dumps({"n": n})) for n in range(begin, end)]


def assert_in_order(made: Outbox, count: int) -> None:
    """Assert that each number is published, and those of a key in order."""
    numbers = by_key(made.published())
    assert sum(len(set(found)) for found in numbers.values()) == count
    for found in numbers.values():
        once = list(dict.fromkeys(found))
        assert once == sorted(once)


@pytest.mark.case("rough-1")
def test_a_server_that_is_killed_under_load_loses_nothing(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The same process goes on with the server that comes after it."""
    with created() as server, ExitStack() as ending:
        with served(server):
            made = outboxes.make(outboxes.postgres(server), kafka_broker, tmp_path)
            made.topic()
            made.insert(rows(0, ROWS))
            running = ending.enter_context(relaying(made))
            until("some are published", made.is_done(ROWS // 10))
        says(running, "outbox")
        with served(server):
            made.insert(rows(ROWS, ROWS + 100))
            until("all", made.is_done(ROWS + 100))

    assert_in_order(made, ROWS + 100)


@pytest.mark.case("rough-2")
def test_an_application_that_locks_the_rows_the_other_way_round(made: Outbox) -> None:
    """Whoever of the two the database ends tries again."""
    made.topic()
    made.insert(rows(0, ROWS))
    ending = threading.Event()
    first = f"SELECT id FROM {made.table} WHERE status = 'PENDING' ORDER BY id LIMIT 20"

    def touch() -> None:
        while not ending.is_set():
            with closing(made.place.connect()) as connection, connection.cursor() as cursor:
                cursor.execute(first)
                ids = [id for (id,) in cursor.fetchall()]
                with suppress(psycopg.errors.DeadlockDetected, pymysql.err.OperationalError):
                    cursor.execute("BEGIN")
                    for id in reversed(ids):
                        cursor.execute(f"UPDATE {made.table} SET traceparent = 'x' WHERE id = %s", [id])
                    cursor.execute("COMMIT")

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        with relaying(made):
            until("all", made.is_done(ROWS))
    finally:
        ending.set()
        thread.join(PATIENCE)

    assert_in_order(made, ROWS)


@pytest.mark.case("rough-3")
def test_a_row_that_its_topic_does_not_take_fails_by_name(made: Outbox) -> None:
    """One without a key in a compacted topic; those with one are published."""
    made.topic(cleanup_policy="compact")
    made.insert([*rows(0, 50), (None, json.dumps({"n": 50})), *rows(51, 100)])
    with relaying(made):
        until("the others", made.is_done(99))
        until("its end", lambda: made.counts() == {PROCESSED: 99, FAILED: 1})

    ((words,),) = made.run(f"SELECT lastError FROM {made.table} WHERE status = '{FAILED}'")
    assert "order did not take it" in words
    assert_in_order(made, 99)


@pytest.mark.case("rough-4")
def test_a_topic_that_is_deleted_is_waited_for(made: Outbox) -> None:
    """Its rows alone wait, and none of them fails."""
    topic = made.topic("order")
    made.topic("other")
    with relaying(made) as running:
        made.insert(rows(0, 10))
        until("the first", made.is_done(10))
        made.broker.admin.delete_topics([topic])[topic].result(PATIENCE)
        made.insert(rows(10, 20))
        made.insert(rows(20, 30), kind="other")
        until("the others", made.is_done(20))
        says(running, "topic", topic)
        made.topic("order")
        until("all", made.is_done(30))

    assert made.run(f"SELECT DISTINCT failCount FROM {made.table}") == [(0,)]


@pytest.mark.case("rough-5")
def test_a_route_that_is_no_topic_waits_alone(made: Outbox) -> None:
    """With an empty prefix, where the route is all of it."""
    own = f"{made.relay.relay}.order"
    made.broker.create_topic(own, 1)
    made.insert([("a", json.dumps({"n": 1}))], kind=".")
    made.insert([("a", json.dumps({"n": 2}))], kind="..")
    made.insert([("b", json.dumps({"n": 3}))], kind=own)
    with relaying(made, Relay.model_validate({**made.relay.model_dump(), "topic_prefix": ""})) as running:
        until("the other", made.is_done(1))
        says(running, "rows wait for 2 topics")
