"""A real Connector in a real worker: a database of its own, the operator's configuration, and what came into topics."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.plan import debezium, outbox_rows, record_sizes, signals
from tests.connect_worker import ConnectWorker
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE, until

PASSING = ("timed out", "ConfigValueInfo.errors()")
"""What Kafka Connect says where a busy database was too late: that, or the fault by which it loses its words."""

_numbers = count()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The real parts that a Connector needs."""

    worker: ConnectWorker
    server: PostgresServer
    broker: KafkaBroker

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Give a database of its own; it, its slots and its connectors are removed at the end."""
        name = f"captured_{next(_numbers)}"
        self.server.create_database(name)
        database = Database(parts=self, name=name)
        try:
            yield database
        finally:
            database.remove()


@dataclass(frozen=True, kw_only=True)
class Database:
    """One database."""

    parts: Parts
    name: str

    def sql(self, statements: str, values: Sequence[Any] | None = None) -> None:
        """Run statements, in one transaction where they are several."""
        with psycopg.connect(self.parts.server.url(self.name), autocommit=True) as connection:
            connection.execute(statements.encode(), values)

    def capture(
        self,
        capture: Mapping[str, Any],
        config: Mapping[str, str] | None = None,
        kafka: KafkaConnectionSpec | None = None,
    ) -> Captured:
        """Start a Connector of this database as the operator configures it, and wait until its task runs.

        With a ``kafka`` it is told of snapshots by that.
        """
        name = self.name.replace("_", "-")
        self.parts.worker.write_secret("shop", name, username="postgres", password="any")
        postgres = {"host": "127.0.0.1", "port": self.parts.server.port, "database": self.name}
        spec: dict[str, Any] = {
            "connect": "main",
            "postgres": {**postgres, "credentials": {"secret": name}},
            "capture": capture,
            "topics": {"partitions": 1},
            "config": config,
        }
        resource = worlds.resource("Connector", name, spec)
        written = ConnectorSpec.model_validate(spec)
        made = {**outbox_rows.bound(written, worlds.CONNECT), **debezium.configuration(resource, written)}
        made |= record_sizes.bounded(written, worlds.CONNECT)
        made |= signals.properties(resource, written, worlds.CONNECT, kafka) if kafka else {}
        captured = Captured(parts=self.parts, name=made["name"])
        captured.ask("PUT", "/config", made)
        captured.await_running()
        return captured

    def remove(self) -> None:
        """Remove its connector, its slots and the database."""
        Captured(parts=self.parts, name=f"shop.{self.name.replace('_', '-')}").ask("DELETE", "")
        self.parts.server.drop_slots(self.name)
        with psycopg.connect(self.parts.server.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)".encode())


@dataclass(frozen=True, kw_only=True)
class Captured:
    """A connector in the worker."""

    parts: Parts
    name: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request about it, again while the worker rebalances or is busy; None where it is not known."""
        request = urllib.request.Request(
            f"{self.parts.worker.url}/connectors/{self.name}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json"},
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                said = error.read().decode()
                if error.code == 404:
                    return None
                if (error.code != 409 and not any(one in said for one in PASSING)) or time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: {said}") from None
                time.sleep(0.2)

    def tasks(self) -> list[Any]:
        """Return the states of its tasks, each with its trace."""
        return [dict(task) for task in (self.ask("GET", "/status") or {"tasks": []})["tasks"]]

    def await_running(self) -> None:
        """Wait until its task runs and its slot is there, which is active before it keeps anything."""
        whole = "active AND confirmed_flush_lsn IS NOT NULL"
        slot = f"SELECT count(*) FROM pg_replication_slots WHERE database = %s AND {whole}"
        with psycopg.connect(self.parts.server.url(), autocommit=True) as connection:

            def streams() -> bool:
                active = connection.execute(slot, (self.name.removeprefix("shop.").replace("-", "_"),)).fetchone()
                states = [(task["state"], task.get("trace")) for task in self.tasks()]
                assert "FAILED" not in dict(states), f"{self.name}: {states}"
                return active == (1,) and states == [("RUNNING", None)]

            until(f"{self.name} running", streams)

    def await_count(self, topic: str, number: int) -> None:
        """Wait until the first partition of a topic (its name after the prefix) holds at least so many records."""
        consumer = Consumer({"bootstrap.servers": self.parts.broker.bootstrap_servers, "group.id": "captured"})
        place = TopicPartition(f"{self.name}.{topic}", 0)

        def enough() -> bool:
            assert "FAILED" not in [task["state"] for task in self.tasks()], self.tasks()
            try:
                return bool(consumer.get_watermark_offsets(place, timeout=10)[1] >= number)
            except KafkaException:
                return False

        try:
            until(f"{number} records in {topic} of {self.name}", enough)
        finally:
            consumer.close()

    def records(self, topic: str, number: int) -> list[Message]:
        """Wait for so many records in the first partition of a topic (its name after the prefix), and return them."""
        consumer = Consumer({"bootstrap.servers": self.parts.broker.bootstrap_servers, "group.id": "captured"})
        found: list[Message] = []

        def enough() -> bool:
            one = consumer.poll(0.2)
            if one is not None and not one.error():
                found.append(one)
            return len(found) >= number

        try:
            consumer.assign([TopicPartition(f"{self.name}.{topic}", 0, 0)])
            until(f"{number} records in {topic} of {self.name}", enough)
        finally:
            consumer.close()
        return found
