"""A database ``shop`` with a role of its own, which an agent logs in to by files, as a pod has them mounted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow

from headrace_agent import told
from headrace_agent.declared import Postgres, Publication, Slot
from headrace_agent.sources.postgres import look
from headrace_agent.told import Seen, Unknown
from tests.agent.declarations import login, source
from tests.canaries import planted
from tests.postgres_server import PostgresServer

PUBLICATION, SLOT = "headrace_shop_orders", "headrace_shop_orders"
Value = TypeVar("Value")
LOOKED_AT = Publication(name=PUBLICATION, state="LookedAt")


def protected(server: PostgresServer) -> None:
    """Ask everybody but the superuser for a password, before the server runs."""
    rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (server.folder / "data" / "pg_hba.conf").write_text(rules)


class Shop:
    """The database, as its superuser sees it, and the files of the login."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.password = planted("orders-db/password").value
        self._clean()
        self.admin = psycopg.connect(server.create_database("shop"), autocommit=True)
        self.run(f"CREATE ROLE shop LOGIN REPLICATION PASSWORD '{self.password}'")
        self.run("ALTER DATABASE shop OWNER TO shop", "ALTER SCHEMA public OWNER TO shop")
        self.mount(password=self.password)

    def mount(self, **keys: str) -> None:
        """Write keys of the Secret, as a kubelet does, once it has seen the change."""
        for key, value in ({"username": "shop\n"} | keys).items():
            (self.folder / key).write_text(value)

    def run(self, *statements: str) -> None:
        """Run statements as superuser."""
        for statement in statements:
            self.admin.execute(statement)

    def own(self, *statements: str) -> None:
        """Run statements as the role, which owns what it makes."""
        self.run("SET ROLE shop", *statements, "RESET ROLE")

    def one(self, statement: str) -> Any:
        """Return the one value of a query."""
        row: TupleRow | None = self.admin.execute(statement).fetchone()
        assert row is not None
        return row[0]

    def declared(self, **more: object) -> Postgres:
        """Return a source that looks at this database, and keeps nothing but what ``more`` says."""
        own = {"host": "127.0.0.1", "port": self.server.port, "login": login(str(self.folder))}
        return source(**({"publication": LOOKED_AT, "slot": Slot(name=SLOT)} | own | more))  # type: ignore[arg-type]

    def slot_at(self, url: str) -> None:
        """Make the slot in another database."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (SLOT,))

    def close(self) -> None:
        """Leave nothing of it to the next test."""
        self.admin.close()
        self._clean()

    def _clean(self) -> None:
        self.server.drop_slots()
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS shop")


async def looked(source: Postgres) -> told.Postgres:
    """Look once, with a connection of its own."""
    looker = look.Postgres(source)
    try:
        return await looker.look()
    finally:
        looker.close()


def seen(fact: Seen[Value] | Unknown) -> Value:
    """Return what was seen."""
    assert isinstance(fact, Seen), fact
    return fact.value


def unknown(fact: object) -> Unknown:
    """Return why it was not."""
    assert isinstance(fact, Unknown), fact
    return fact
