"""One way to hold a fake Kafka Connect and the real one: connectors, the database they read, and their Secrets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from headrace_operator.api.connector import ConnectorSpec
from headrace_operator.clients import errors
from headrace_operator.clients.connect import Connect
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.plan import debezium
from tests.connect_worker import ConnectWorker
from tests.fakes.connect import FakeConnect
from tests.operator import worlds
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE

Config = dict[str, str]
_numbers = itertools.count()


class Bench(Protocol):
    """A Connect at ``url`` and what its connectors read."""

    url: str
    port: int

    def set_password(self, user: str, password: str) -> None:
        """Make ``user`` of the database, or give it another password."""

    def write_secret(self, name: str, username: str, password: str) -> None:
        """Make or change a Secret of the namespace shop."""

    def publish(self, publication: str) -> None:
        """Make a publication in the database."""

    def commit(self) -> None:
        """Let the database commit a row of the captured table."""

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let Connect take requests and answer none of them."""


def configuration(bench: Bench, name: str, **changes: str) -> Config:
    """Return what the operator would have Connect run, with a user and a Secret of its own that fit."""
    user, password = name.replace("-", "_"), f"canary-of-{name}"
    bench.set_password(user, password)
    bench.write_secret(name, user, password)
    postgres = {"host": "127.0.0.1", "port": bench.port, "database": "postgres", "credentials": {"secret": name}}
    spec = {"connect": "main", "postgres": postgres, "capture": {"tables": ["public.customers"]}}
    made = debezium.configuration(worlds.resource("Connector", name, spec), ConnectorSpec.model_validate(spec))
    return {**made, **{key.replace("__", "."): value for key, value in changes.items()}}


def new_name() -> str:
    """Return a name for a connector that no other test uses."""
    return f"contract-{next(_numbers)}"


async def until(connect: Connect, url: str, name: str, holds: Callable[[ConnectorSeen], bool]) -> ConnectorSeen:
    """Wait until the connector is as ``holds`` says; raises ``AssertionError`` with what was seen last."""
    seen: Any = None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (isinstance(seen, ConnectorSeen) and holds(seen)):
                with contextlib.suppress(errors.Unreachable):  # while a task of it stops; the loop asks again, too
                    seen = await connect.connector(url, name)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE} s; seen last: {seen}") from None
    return seen


class Patient(Connect):
    """Asks again while Connect rebalances, as the real one may after each change; the operator's loop does so, too."""

    async def _send(self, method: str, url: str, **given: Any) -> Any:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await super()._send(method, url, **given)
                except errors.Busy as error:
                    if "already exists" in str(error):
                        raise
                await asyncio.sleep(0.05)


class FakeBench:
    """The fake."""

    port = 5432

    def __init__(self, fake: FakeConnect) -> None:
        self._fake = fake
        self.url = fake.url

    def set_password(self, user: str, password: str) -> None:
        self._fake.passwords[user] = password

    def write_secret(self, name: str, username: str, password: str) -> None:
        self._fake.secrets |= {f"shop/{name}:username": username, f"shop/{name}:password": password}

    def publish(self, publication: str) -> None:
        self._fake.publications.add(publication)

    def commit(self) -> None:
        self._fake.commit()

    @contextmanager
    def silent(self) -> Iterator[None]:
        self._fake.hanging = True
        try:
            yield
        finally:
            self._fake.hanging = False


class RealBench:
    """A real worker and a real PostgreSQL, in which the roles of these tests need their passwords."""

    def __init__(self, worker: ConnectWorker, server: PostgresServer) -> None:
        self._worker = worker
        self._server = server
        self.url, self.port = worker.url, server.port
        self._prepare()

    def set_password(self, user: str, password: str) -> None:
        with self._database() as database:
            known = database.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
            verb = sql.SQL("ALTER ROLE" if known else "CREATE ROLE")
            words = sql.SQL("{} {} SUPERUSER LOGIN PASSWORD {}")
            database.execute(words.format(verb, sql.Identifier(user), sql.Literal(password)))

    def write_secret(self, name: str, username: str, password: str) -> None:
        self._worker.write_secret("shop", name, username=username, password=password)

    def publish(self, publication: str) -> None:
        with self._database() as database:
            words = sql.SQL("CREATE PUBLICATION {} FOR TABLE public.customers")
            database.execute(words.format(sql.Identifier(publication)))

    def commit(self) -> None:
        with self._database() as database:
            database.execute("INSERT INTO public.customers (name) VALUES ('Ada')")

    @contextmanager
    def silent(self) -> Iterator[None]:
        with self._worker.silent():
            yield

    def _database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server.url(), autocommit=True)

    def _prepare(self) -> None:
        """Ask for passwords, save from the superuser that tests log in as, and make a table."""
        with self._database() as database:
            (file,) = database.execute("SHOW hba_file").fetchone() or ("",)
            rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
            Path(file).write_text(rules)
            database.execute("SELECT pg_reload_conf()")
            database.execute("CREATE TABLE IF NOT EXISTS public.customers (id serial PRIMARY KEY, name text)")

    async def clear(self, connect: Connect) -> None:
        """Remove every connector and its slot, of which PostgreSQL has few, and the rows of the table."""
        async with asyncio.timeout(PATIENCE):
            while not await self._have_removed(connect):  # noqa: ASYNC110 - Connect tells nobody
                await asyncio.sleep(0.1)
        await asyncio.to_thread(self._server.drop_slots)
        with self._database() as database:
            database.execute("TRUNCATE public.customers")

    async def _have_removed(self, connect: Connect) -> bool:
        try:
            for name in (await connect.workers(self.url)).connectors:
                await connect.remove(self.url, name)
        except errors.Retryable:
            return False
        return True


@asynccontextmanager
async def cleared(bench: RealBench, connect: Connect) -> AsyncIterator[RealBench]:
    """Leave the real one as it was found."""
    try:
        yield bench
    finally:
        await bench.clear(connect)
