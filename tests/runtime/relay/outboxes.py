"""A real database with an outbox, and `headrace relay` processes between it and a real broker, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from pymysql.constants import ER

from headrace import outbox
from headrace.config import Kafka
from headrace.kafka.topics import Reader, Stored
from headrace.outbox import Relay
from headrace.relay.ddl import ddl
from headrace.sql.dialects import Dialect
from tests.cluster.fast import END_WITH_PARENT
from tests.kafka_broker import BACK_SOON, KafkaBroker
from tests.mariadb_server import MariadbServer
from tests.ports import free_port
from tests.postgres_server import PostgresServer
from tests.runtime.consumer_process import Running
from tests.waiting import PATIENCE, until

CAUGHT_UP = 5.0
"""Seconds after which a replica that publishes nothing has nothing to publish."""

LEASE = 20.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """One empty database; ``connect`` opens it in autocommit, ``settings`` are those of a relay."""

    dialect: Dialect
    connect: Callable[[], Any]
    port: int
    user: str


def postgres(server: PostgresServer) -> Place:
    """Return an empty database of a PostgreSQL."""
    url = server.create_database("relay")
    return Place(
        dialect=Dialect.POSTGRESQL,
        connect=lambda: psycopg.connect(url, autocommit=True),
        port=server.port,
        user="postgres",
    )


def mariadb(server: MariadbServer) -> Place:
    """Return an empty database of a MariaDB."""
    name = server.create_database("relay")
    return Place(
        dialect=Dialect.MYSQL,
        connect=lambda: server.connect(name, autocommit=True),
        port=server.port,
        user="root",
    )


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """One outbox with its relay's contract; topics begin with the contract's prefix."""

    place: Place
    broker: KafkaBroker
    folder: Path
    relay: Relay
    topics: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """The table's name."""
        return self.relay.table

    def run(self, statement: str, given: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement, committed by itself, and return what it answers."""
        with closing(self.place.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, given)
            return list(cursor.fetchall()) if cursor.description else []

    def insert(self, rows: Sequence[tuple[str | None, str]], kind: str = "order") -> None:
        """Add rows of key and payload, committed as one."""
        with closing(self.place.connect()) as connection, connection.cursor() as cursor:
            connection.begin() if self.place.dialect is Dialect.MYSQL else cursor.execute("BEGIN")
            into = f"INSERT INTO {self.table} (messageType, messageKey, payload) VALUES (%s, %s, %s)"
            cursor.executemany(into, [(kind, key, payload) for key, payload in rows])
            connection.commit()

    def counts(self) -> dict[str, int]:
        """Return how many rows have each status."""
        return {str(status): int(n) for status, n in self.run(f"SELECT status, count(*) FROM {self.table} GROUP BY 1")}

    def topic(self, route: str = "order", partitions: int = 4, **settings: str) -> str:
        """Make the topic of a route."""
        name = f"{self.relay.topic_prefix}{route}"
        return self.broker.create_topic(name, partitions, {each.replace("_", "."): to for each, to in settings.items()})

    def published(self, route: str = "order") -> list[Stored]:
        """Return what the topic of a route has, in the order of each partition."""
        topic = f"{self.relay.topic_prefix}{route}"
        with Reader({"bootstrap.servers": self.broker.bootstrap_servers, **BACK_SOON}) as reader:
            spans = reader.spans(topic)
            return [one for number, span in spans.items() for one in reader.read(topic, number, span)]

    @contextmanager
    def unmarked(self) -> Iterator[None]:
        """Let nobody mark rows until the end of the block, only read them."""
        with closing(self.place.connect()) as connection, connection.cursor() as cursor:
            if self.place.dialect is Dialect.POSTGRESQL:
                cursor.execute("BEGIN")
                cursor.execute(f"LOCK TABLE {self.table} IN SHARE MODE")
            else:
                cursor.execute(f"LOCK TABLES {self.table} READ")
            yield

    def end_waiting(self) -> None:
        """End the sessions that wait for a lock: a server would go on for one whose client has died."""
        if self.place.dialect is Dialect.POSTGRESQL:
            self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            return
        for (session,) in self.run("SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for%'"):
            self._end(session)

    def _end(self, session: int) -> None:
        """End a session of MariaDB, which may have ended by itself since it was seen."""
        try:
            self.run(f"KILL {session}")
        except pymysql.err.OperationalError as error:
            if error.args[0] != ER.NO_SUCH_THREAD:
                raise

    def under_way(self) -> set[int]:
        """Return the numbers of the rows that are published and not marked."""
        marked = self.run(f"SELECT payload FROM {self.table} WHERE status = '{outbox.PROCESSED}'")
        return {number(one.value) for one in self.published()} - {number(payload) for (payload,) in marked}

    def is_done(self, count: int) -> Callable[[], bool]:
        """Return the condition that so many rows are processed."""
        return lambda: self.counts().get(outbox.PROCESSED, 0) >= count


def make(place: Place, broker: KafkaBroker, folder: Path, *, table: bool = True, **more: object) -> Outbox:
    """Return an empty outbox of the table that the command prints; ``more`` goes into the contract."""
    name = f"r{uuid.uuid4().hex[:8]}"
    (folder / "username").write_text(place.user)
    (folder / "password").write_text("")
    relay = Relay.model_validate(
        {
            "namespace": "shop",
            "relay": name,
            "pipeline": "orders",
            "kafka": Kafka(bootstrap_servers=broker.bootstrap_servers),
            "database": {
                "dialect": place.dialect.value,
                "host": "127.0.0.1",
                "port": place.port,
                "name": "relay",
                "username_file": str(folder / "username"),
                "password_file": str(folder / "password"),
            },
            "table": "outbox",
            "topic_prefix": f"shop.{name}.outbox.",
            "interval": 0.2,
            "lease": LEASE,
            "retry": {"attempts": 3, "initial": 0.2, "max": 1},
            **more,
        }
    )
    made = Outbox(place=place, broker=broker, folder=folder, relay=relay)
    if table:
        make_table(made)
    return made


def make_table(made: Outbox) -> None:
    """Make the tables by the very statements that the command prints."""
    for statement in ddl(made.place.dialect, made.table).split(";\n"):
        if statement.strip():
            made.run(statement)


@contextmanager
def relaying(made: Outbox, relay: Relay | None = None) -> Iterator[Running]:
    """Run one process of the relay; it is killed at the end if it still runs."""
    number = uuid.uuid4().hex[:6]
    file, log = made.folder / f"relay-{number}.json", made.folder / f"log-{number}"
    file.write_text(outbox.dump(relay or made.relay))
    port, pod = free_port(), f"{made.relay.relay}-{number}"
    settings = {"HEADRACE_CONFIG": str(file), "HEADRACE_PORT": str(port), "HOSTNAME": pod}
    words = [*END_WITH_PARENT, sys.executable, "-c", "from headrace.cli import app; app()", "relay"]
    with log.open("wb") as out:
        process = subprocess.Popen(words, env={**os.environ, **settings}, stdout=out, stderr=out)
    try:
        yield Running(process=process, port=port, log=log, pod=pod)
    finally:
        process.kill()
        process.wait(PATIENCE)


def says(running: Running, *words: str) -> None:
    """Await that the pod is not ready and says why."""

    def said() -> bool:
        status, text = running.get("/readyz")
        return status == 503 and all(word in text for word in words)

    until(f"{words} of /readyz", said)
    assert running.get("/healthz")[0] == 200


class Feed:
    """Inserts rows of ``keys`` keys on and on, so that no replica is done with its own before it is killed.

    They are numbered from ``first`` on.
    """

    PART = 1000

    def __init__(self, made: Outbox, keys: int, first: int = 0) -> None:
        self._made = made
        self._keys = keys
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.count = first
        """How many are committed, with those before the first."""

    def _run(self) -> None:
        while not self._ends.is_set():
            numbers = range(self.count, self.count + self.PART)
            try:
                self._made.insert([(f"key-{n % self._keys}", json.dumps({"n": n})) for n in numbers])
            except (psycopg.OperationalError, pymysql.err.OperationalError):
                return  # its session was ended by `Outbox.end_waiting`, before it could insert
            self.count += self.PART

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(PATIENCE)


def killed_in_mid_batch(made: Outbox, running: Running) -> set[int]:
    """Kill one of two replicas while both have published what is not marked yet, and return the numbers of that."""
    return until("both have a batch under way", lambda: _killed_in_mid_batch(made, running))


def _killed_in_mid_batch(made: Outbox, running: Running) -> set[int] | None:
    """Do so, but where one of them has no batch for a while: it has caught up, and rows cannot come meanwhile."""
    with made.unmarked():
        soon = time.monotonic() + CAUGHT_UP
        while len(made.under_way()) <= made.relay.batch:
            if time.monotonic() > soon:
                return None
            time.sleep(0.1)
        running.process.kill()
        running.process.wait(PATIENCE)
        made.end_waiting()
        return made.under_way()


def by_key(records: Sequence[Stored]) -> dict[bytes, list[int]]:
    """Return the numbers of each key in the order of the topic."""
    found = sorted(records, key=lambda one: (one.key or b"", one.offset))
    return {key or b"": [number(one.value) for one in of] for key, of in groupby(found, attrgetter("key"))}


def number(payload: str | bytes | None) -> int:
    """Return the number that a row's payload has."""
    return int(json.loads(payload or "")["n"])
