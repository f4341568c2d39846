"""Workers that write once: each change is in its topic exactly once, though a worker is killed in mid-stream."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from headrace_operator.api.connectcluster import EXACTLY_ONCE
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.plan import exactly_once
from tests.connect.capturing import Captured, Database, Parts
from tests.connect_worker import working
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

ONCE = {EXACTLY_ONCE: "enabled", "offset.flush.interval.ms": "600000"}
"""Offsets are never flushed by the clock here: at least once, all would come again after the kill."""

ROWS, STEP = 4_000, 10


def test_a_worker_killed_in_mid_stream_repeats_and_loses_nothing(
    kafka_broker: KafkaBroker, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The one after it takes what was not whole back, and goes on where that began."""
    resource = worlds.resource("ConnectCluster", f"c{uuid.uuid4().hex[:8]}", {})
    kafka = KafkaConnectionSpec.model_validate({"bootstrapServers": kafka_broker.bootstrap_servers})
    name = f"once_{uuid.uuid4().hex[:8]}"
    postgres_server.create_database(name)
    with working(tmp_path, resource, kafka, config=ONCE) as first:
        database = Database(parts=Parts(worker=first, server=postgres_server, broker=kafka_broker), name=name)
        database.sql("CREATE TABLE orders (id int PRIMARY KEY)")
        captured = database.capture({"tables": ["public.orders"]}, dict(exactly_once.REQUIRED))
        writing = threading.Thread(target=write, args=(database,))
        writing.start()
        captured.await_count("public.orders", ROWS // 4)
        first.process.kill()
        first.process.wait(PATIENCE)
    with working(tmp_path, resource, kafka, config=ONCE) as second:
        parts = Parts(worker=second, server=postgres_server, broker=kafka_broker)
        writing.join()
        assert ids(Captured(parts=parts, name=captured.name), "public.orders") == list(range(ROWS))
        Database(parts=parts, name=name).remove()


def write(database: Database) -> None:
    """Write the rows, some in each transaction."""
    for begin in range(0, ROWS, STEP):
        database.sql(f"INSERT INTO orders SELECT generate_series({begin}, {begin + STEP - 1})")


def ids(captured: Captured, topic: str) -> list[int]:
    """Return the ids of the rows in a topic up to the last one, as they came."""
    found: list[int] = []
    settings = {"bootstrap.servers": captured.parts.broker.bootstrap_servers, "group.id": "captured"}
    with closing(Consumer(settings)) as consumer:
        consumer.assign([TopicPartition(f"{captured.name}.{topic}", 0, 0)])

        def is_whole() -> bool:
            for one in consumer.consume(1_000, 0.2):
                if not one.error():
                    found.append(json.loads(one.value() or b"")["after"]["id"])
            return ROWS - 1 in found

        until("the last row", is_whole)
    return found
