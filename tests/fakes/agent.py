"""A source agent that tells what a test says, over HTTP, and sources as tests describe them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from headrace_agent import places, told

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LOGIN = {"user": "shop", "superuser": False, "replication": True, "creates_in_database": True, "encrypted": True}
SERVER = {
    "version": "15.6", "version_number": 150006, "system_identifier": "7001", "in_recovery": False,
    "wal_level": "logical", "max_slots": 10, "slots": 1, "max_senders": 10, "senders": 1,
    "max_slot_wal_keep_bytes": None, "wal_segment_bytes": 16777216,
}  # fmt: skip
RELATION = {
    "oid": 16384, "kind": "Table", "unlogged": False, "partition": False, "owner": "shop", "owned": True,
    "selectable": True, "primary_key": ("id",), "replica_identity": "Default", "unidentified": (), "rows": 10,
    "published": True,
}  # fmt: skip
SLOT = {
    "name": "headrace_shop_orders_db_24ad43c5", "plugin": "pgoutput", "database": "shop", "active": True,
    "temporary": False, "wal_status": "reserved", "invalidation_reason": None, "restart_position": "0/1000",
    "confirmed_position": "0/1000", "retained_bytes": 4096, "unconfirmed_bytes": 0, "safe_bytes": None, "growth": 0.0,
    "hours_left": None,
}  # fmt: skip
PUBLICATION = {
    "name": "headrace_shop_orders_db_24ad43c5", "owner": "shop", "owned": True, "all_tables": False,
    "operations": ("insert",), "via_partition_root": True, "tables": ("public.outbox",), "table_count": 1,
    "filtered": (),
}  # fmt: skip


def unseen(cause: told.Cause, why: str = "connection refused.") -> dict[str, Any]:
    """Return what could not be seen."""
    return {"state": "Unknown", "cause": cause, "why": why}


def seen(value: Any) -> dict[str, Any]:
    """Return what was seen."""
    return {"state": "Seen", "value": value}


def source(*, tables: Mapping[str, Any] | None = None, **facts: Any) -> told.Postgres:
    """Return a source that is well, but for ``facts``; ``tables`` are changes of relations by name, None for none."""
    found = {"public.outbox": {}} if tables is None else tables
    relations = [{"name": name, "relation": None if one is None else RELATION | one} for name, one in found.items()]
    known = {
        "name": "orders-db", "looked_at": AT, "login": seen(LOGIN), "server": seen(SERVER), "tables": seen(relations),
        "publication": seen(PUBLICATION), "slot": seen(SLOT), "position": seen({"lsn": "0/2000", "number": 0x2000}),
        "heartbeat": seen(None), "deeds": (),
    }  # fmt: skip
    return told.Postgres.model_validate(known | facts)


@dataclass
class FakeAgent:
    """What is told, and how often it was asked; ``body`` takes the place of it."""

    sources: tuple[told.Postgres, ...] = ()
    body: bytes | None = None
    status: int = 200
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the agent does."""
        self.asked.append(request.path)
        text = told.dump(told.Told(declaration="0" * 16, sources=self.sources)).encode()
        return web.Response(body=text if self.body is None else self.body, status=self.status)


@asynccontextmanager
async def fake_agent(*sources: told.Postgres) -> AsyncIterator[FakeAgent]:
    """Serve a fake on loopback."""
    made = FakeAgent(sources=sources)
    app = web.Application()
    app.router.add_get(places.SOURCES, made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
