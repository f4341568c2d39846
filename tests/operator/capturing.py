"""Connectors of the operator on a real Kafka Connect, with a database of their own and its user, as a user has them.

Each pass observes, plans, records and acts as the operator does; the resources live in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import aiohttp
import psycopg
from confluent_kafka import Consumer, TopicPartition
from psycopg import sql

from headrace_operator.clients.connect import Connect
from headrace_operator.clients.errors import HeadraceError
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.observed.kafka import CapturedSeen
from headrace_operator.observed.kube import Resource, SecretSeen
from headrace_operator.plan import connectcluster, connector, names
from headrace_operator.plan.actions import Apply, Plan, Remove
from headrace_operator.reconcile.execute import execute
from headrace_operator.reconcile.looks import Looks
from headrace_operator.reconcile.observe import captured_topics
from headrace_operator.reconcile.observe import connections as observe_connections
from headrace_operator.reconcile.observe import connector as observe_connector
from headrace_operator.reconcile.progress import Progress
from headrace_operator.reconcile.remote import Remote
from tests.cluster import places, relay
from tests.cluster.fast import END_WITH_PARENT
from tests.connect_worker import ConnectWorker
from tests.contract.bench import RealBench, cleared
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.operator.agent_pod import AgentPod, agent_pod, reached
from tests.operator.reconcile.test_connector_life import EveryName, Shelf
from tests.ports import free_port
from tests.postgres_server import PostgresServer
from tests.runtime.consumer_process import read_topic
from tests.waiting import PATIENCE, until

_numbers = itertools.count()


@dataclass
class Capturing:
    """One database of a user who owns it, and Connectors that capture it.

    Database, user and Secret are called ``name``; Kafka Connect keeps offsets by a connector's name, so that tests call
    theirs so, too.
    """

    name: str
    worker: ConnectWorker
    server: PostgresServer
    broker: KafkaBroker
    remote: Remote
    shelf: Shelf
    progress: dict[str, Progress] = field(default_factory=dict)
    looks: dict[str, Looks[CapturedSeen]] = field(default_factory=dict)
    agent: AgentPod | None = None

    @property
    def postgres(self) -> dict[str, Any]:
        """Return the part of a spec that says where the database is."""
        known = {"host": "127.0.0.1", "port": self.server.port, "database": self.name}
        return {**known, "credentials": {"secret": self.name}}

    def run(self, *statements: str, superuser: bool = False) -> list[Any]:
        """Run SQL in the database, as its owner, and return the rows of the last statement."""
        with psycopg.connect(self.server.url(self.name), autocommit=True) as database:
            if not superuser:
                database.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self.name)))
            for statement in statements:
                done = database.execute(cast(Any, statement))
            return done.fetchall() if done.description else []

    def set_password(self, password: str) -> None:
        """Give the user another password, and end what is logged in."""
        self.run(f"ALTER ROLE {self.name} PASSWORD '{password}'", superuser=True)
        self.end_connections()

    def write_secret(self, password: str) -> None:
        """Write the login into the Secret."""
        self.worker.write_secret("shop", self.name, username=self.name, password=password)

    def end_connections(self) -> None:
        """End every connection of the user."""
        ending = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{self.name}'"
        self.run(ending, superuser=True)

    def apply(self, name: str, capture: dict[str, Any], **more: Any) -> None:
        """Make or edit a Connector, as ``kubectl apply`` does; ``more`` are other fields of the spec."""
        given = {"postgres": self.postgres, "topics": {"partitions": 1}, **more}
        spec = {"connect": "main", "capture": capture, **given}
        old = self.shelf.objects.get(("Connector", name))
        new = worlds.resource("Connector", name, spec, uid=f"uid-{name}-{next(_numbers)}")
        self.shelf.put(dataclasses.replace(old, spec=spec, generation=old.generation + 1) if old else new)

    async def delete(self, name: str) -> None:
        """Delete a Connector, and wait until nothing of it leaves any more; its status says how far that is."""
        self.shelf.objects.pop(("Connector", name))
        deadline = time.monotonic() + PATIENCE
        while True:
            await self.look_at_workers()
            told = self.shelf.objects["ConnectCluster", "main"].status.get("leaving")
            if not told:
                return
            assert time.monotonic() < deadline, f"not within {PATIENCE} s: {told}\n{self._trouble()}"
            await asyncio.sleep(0.5)

    async def ask(self, annotation: str, value: str) -> None:
        """Annotate the shop's Connector with ``headrace.dev/<annotation>``, and wait until that operation is over."""
        old = self.shelf.objects["Connector", self.name]
        self.shelf.put(dataclasses.replace(old, asked={annotation: value}))

        def is_over() -> bool:
            told = self.shelf.objects["Connector", self.name].status.get("operations", {}).get(annotation, {})
            return told.get("phase") in ("Done", "Refused")

        await self.await_(self.name, lambda _: is_over())

    def drop_slot(self) -> None:
        """Drop the slot of the shop's Connector once nobody reads it."""
        free = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot(self.name)}' AND NOT active"
        until("a slot that nobody reads", lambda: bool(self.run(free)))
        self.run(f"SELECT pg_drop_replication_slot('{slot(self.name)}')", superuser=True)

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """Return a condition of a Connector as it was recorded last, empty when it has none."""
        found = self.shelf.objects["Connector", name].status.get("conditions", ())
        return next((one for one in found if one["type"] == kind), {})

    async def until(self, name: str, status: str, reason: str) -> dict[str, Any]:
        """Make passes until ``Ready`` is so; raises ``AssertionError`` with what was seen last."""
        return await self.await_(name, lambda ready: (ready["status"], ready["reason"]) == (status, reason))

    async def await_(self, name: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Make passes until ``holds`` is true of ``Ready``, and return that condition."""
        deadline = time.monotonic() + PATIENCE
        while True:
            await self.look(name)
            ready = self.condition(name, "Ready")
            if holds(ready):
                return ready
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE} s; seen last: {ready}\n{self._trouble()}")
            await asyncio.sleep(0.5)

    def _trouble(self) -> str:
        """Return what the worker warned of last."""
        lines = [line for line in self.worker.log.splitlines() if '"WARN"' in line or '"ERROR"' in line]
        return "\n".join(line[:1500] for line in lines[-8:])

    async def look_at_workers(self) -> None:
        """Make a pass over the ConnectCluster."""
        cluster = self.shelf.objects["ConnectCluster", "main"]
        seen = await observe_connections.connect_cluster(cluster, self.remote)
        plan = connectcluster.plan(seen, worlds.SETTINGS, datetime.now(UTC).replace(microsecond=0))
        self.shelf.made = worlds.applied(self.shelf.made, plan.actions)
        if self.agent is not None:
            await asyncio.to_thread(self.agent.follow, self.shelf.made)
        of_connect = tuple(action for action in plan.actions if not isinstance(action, Apply | Remove))
        await self._do(cluster, dataclasses.replace(plan, actions=of_connect))

    async def look(self, name: str) -> None:
        """Make a pass over the ConnectCluster and over one Connector."""
        await self.look_at_workers()
        now = datetime.now(UTC).replace(microsecond=0)
        resource = self.shelf.objects["Connector", name]
        world = await observe_connector.connector(
            resource, self.remote, self.progress.setdefault(name, Progress()), now
        )
        looks = self.looks.setdefault(name, Looks(of=CapturedSeen()))
        captured = await captured_topics.seen(world, self.remote, looks, now)
        await self._do(resource, connector.plan(dataclasses.replace(world, captured=captured), worlds.SETTINGS, now))

    async def _do(self, resource: Resource, plan: Plan) -> None:
        self.shelf.put(dataclasses.replace(resource, status={k: v for k, v in plan.status.items() if v is not None}))
        with contextlib.suppress(HeadraceError):  # the next pass looks again
            for action in plan.actions:
                assert not isinstance(action, Apply)
                await execute(action, self.remote)

    async def rows(self, topic: str, count: int, within: float = PATIENCE) -> list[tuple[bytes | None, bytes | None]]:
        """Wait for that many records of a topic and return key and value of each; fails when they do not come."""
        found = await asyncio.to_thread(read_topic, self.broker, topic, count, within)
        return [(one.key(), one.value()) for one in found]

    async def rows_while_looking(self, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
        """Wait for records as `rows` does, while passes are made over the Connector."""
        reading = asyncio.create_task(self.rows(topic, count))
        while not reading.done():
            await self.look(self.name)
            await asyncio.wait([reading], timeout=0.5)
        return await reading

    async def streams(self, name: str, holds: Callable[[], bool]) -> None:
        """Wait until an edit is in force: the connector runs it, and ``holds`` is true of the database."""
        await self.look(name)
        await self.await_(name, lambda ready: ready["status"] == "True" and holds())

    async def logs(self, words: str) -> bool:
        """Wait until the worker has logged ``words`` once more, and tell whether it did."""
        deadline, before = time.monotonic() + PATIENCE, self.worker.log.count(words)
        while self.worker.log.count(words) == before and time.monotonic() < deadline:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.2)
        return self.worker.log.count(words) > before

    def topics(self) -> set[str]:
        """Return the names of all topics of the broker."""
        return set(self.broker.admin.list_topics(timeout=PATIENCE).topics)

    def count(self, topic: str) -> int:
        """Return how many records a topic of one partition has."""
        client = Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": "count"})
        try:
            return int(client.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE)[1])
        finally:
            client.close()

    @contextlib.contextmanager
    def holding(self, slot: str) -> Iterator[None]:
        """Take a slot from whoever reads it, and hold it as another reader does that keeps nothing of what it reads."""
        holder = until(f"another reader of {slot}", lambda: self._taken(slot))
        try:
            yield
        finally:
            holder.kill()
            holder.wait(PATIENCE)

    def _taken(self, slot: str) -> subprocess.Popen[bytes] | None:
        """Try to take a slot; None where whoever read it was there again before."""
        words = [*END_WITH_PARENT, "pg_recvlogical", "-d", self.server.url(self.name), "-S", slot, "--start", "-f", "-"]
        words += ["--no-loop", "--fsync-interval=0", "--status-interval=0", "-o", "proto_version=1"]
        self.end_connections()
        holder = subprocess.Popen(
            [*words, "-o", f"publication_names={slot}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        of_the_slot = f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{slot}'"
        query = f"SELECT 1 FROM pg_stat_replication WHERE pid = ({of_the_slot}) AND application_name = 'pg_recvlogical'"
        until("an answer about the slot", lambda: holder.poll() is not None or bool(self.run(query, superuser=True)))
        return holder if holder.poll() is None else None

    @contextlib.contextmanager
    def door(self) -> Iterator[Door]:
        """Give another port by which the database is reached, until the door is shut."""
        door = Door(self.server.port)
        try:
            yield door
        finally:
            door.shut()


class Door:
    """A port of loopback that leads to the database while it is open."""

    def __init__(self, port: int) -> None:
        self._leads_to, self.port = port, free_port()
        self.open()

    def open(self) -> None:
        """Lead to the database, each time by the same port."""
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            words = (sys.executable, "-m", relay.__name__, str(listener.fileno()), str(self._leads_to))
            self._process = subprocess.Popen(words, pass_fds=[listener.fileno()], cwd=places.ROOT)

    def shut(self) -> None:
        """Refuse connections, and end those there are."""
        self._process.kill()
        self._process.wait(PATIENCE)


@asynccontextmanager
async def watching(shop: Capturing, folder: Path) -> AsyncIterator[Capturing]:
    """Give the ConnectCluster of a shop its source agent, the real process, which writes to ``folder``."""
    spec = {**worlds.CONNECT.spec, "agent": {"enabled": True}}
    with agent_pod(folder, shop.worker.folder / "shop") as pod:
        async with reached(pod) as agents:
            shop.shelf.put(dataclasses.replace(worlds.CONNECT, spec=spec))
            shop.remote, shop.agent = dataclasses.replace(shop.remote, agents=agents), pod
            yield shop


@asynccontextmanager
async def capturing(worker: ConnectWorker, server: PostgresServer, broker: KafkaBroker) -> AsyncIterator[Capturing]:
    """Make a database and its owner, and remove every connector and slot at the end."""
    name = make_database(server)
    resources = (worlds.kafka(broker.bootstrap_servers), worlds.CONNECT)
    secret = SecretSeen(name=name, keys=frozenset({"username", "password"}))
    shelf = Shelf(objects={(one.kind, one.name): one for one in resources}, secrets={name: secret})
    ports = aiohttp.TCPConnector(resolver=EveryName(int(worker.url.rpartition(":")[2])))
    async with aiohttp.ClientSession(connector=ports) as session:
        connect = Connect(session, kept=0)
        with contextlib.closing(Kafkas(cast(Any, shelf))) as kafkas:
            clients = {"kube": shelf, "near": shelf, "connect": connect, "kafkas": kafkas}
            remote = Remote(**cast(Any, {**clients, "entrances": None, "agents": None, "relays": None}))
            async with cleared(RealBench(worker, server), connect):
                made = Capturing(name=name, worker=worker, server=server, broker=broker, remote=remote, shelf=shelf)
                made.run(f"GRANT ALL ON SCHEMA public TO {name}", superuser=True)
                made.write_secret("first")
                yield made


def make_database(server: PostgresServer) -> str:
    """Make a database and its owner, who is called alike and has the password ``first``."""
    name = f"shop{os.getpid()}n{next(_numbers)}"
    with psycopg.connect(server.url(), autocommit=True) as database:
        for statement in (
            "CREATE ROLE {0} LOGIN REPLICATION PASSWORD 'first'",
            "CREATE DATABASE {0} OWNER {0}",
        ):
            database.execute(sql.SQL(statement).format(sql.Identifier(name)))
    return name


def slot(name: str) -> str:
    """Return the slot and the publication of a Connector that names none."""
    return names.slot("shop", name)
