"""What a slot of a real Debezium keeps of the log while its own tables rest and others of the server are busy."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg
import pytest

from tests.operator.capturing import Capturing, slot
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow
SEGMENT = 16 * 1024 * 1024
BUSY = "CREATE TABLE {0} AS SELECT g, repeat(md5(g::text), 30) t FROM generate_series(1, 32000) g"


def kept(shop: Capturing) -> int:
    """Return how many bytes of log the slot keeps."""
    query = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots"
    return int(shop.run(f"{query} WHERE slot_name = '{slot(shop.name)}'", superuser=True)[0][0])


def make_log(shop: Capturing, database: str) -> int:
    """Write more than 30 MB of log in another database, and what lets slots let go of it; return how many bytes."""
    ((begun,),) = shop.run("SELECT pg_current_wal_lsn()")
    with psycopg.connect(shop.server.url(database), autocommit=True) as other:
        for statement in ("DROP TABLE IF EXISTS busy", BUSY.format("busy"), "SELECT pg_switch_wal()", "CHECKPOINT"):
            other.execute(statement)
    return int(shop.run(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{begun}')::bigint")[0][0])


async def let_go(shop: Capturing) -> int:
    """Wait until the slot keeps less than a segment, while the server goes on, and return what it keeps."""
    deadline = time.monotonic() + PATIENCE
    while (size := kept(shop)) >= SEGMENT and time.monotonic() < deadline:
        with psycopg.connect(shop.server.url(), autocommit=True) as other:
            other.execute("CHECKPOINT")
        await asyncio.sleep(1)
    return size


CAPTURES: dict[str, dict[str, Any]] = {
    "outbox": {"outbox": {"table": "public.outbox"}},
    "tables": {"tables": ["public.outbox"]},
}


@pytest.mark.case("databases-10")
@pytest.mark.parametrize("capture", ["tables", pytest.param("outbox", marks=pytest.mark.sweep)])
async def test_a_quiet_slot_lets_go_of_the_log_of_a_busy_neighbour(shop: Capturing, capture: str) -> None:
    """And makes no topic of its own doing, and goes on after a stop."""
    columns = "aggregatetype text, aggregateid text, type text, payload jsonb"
    shop.run(f"CREATE TABLE public.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), {columns})")
    shop.apply(shop.name, CAPTURES[capture])
    await shop.until(shop.name, "True", "Ready")
    written = make_log(shop, "postgres")
    size = await let_go(shop)
    shop.apply(shop.name, CAPTURES[capture], state="Stopped")
    await shop.await_(shop.name, lambda _: shop.condition(shop.name, "Running")["reason"] == "Stopped")
    shop.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', '1', 'Created', '{}')")
    make_log(shop, "postgres")
    shop.apply(shop.name, CAPTURES[capture])
    topic = f"shop.{shop.name}." + ("outbox.order" if capture == "outbox" else "public.outbox")

    assert written > 30_000_000
    assert size < SEGMENT
    assert len(await shop.rows_while_looking(topic, 1)) == 1
    assert await let_go(shop) < SEGMENT
    heartbeats = f"__debezium-heartbeat.shop.{shop.name}"
    assert {one for one in shop.topics() if shop.name in one} == {topic, heartbeats}


@pytest.mark.case("databases-10")
async def test_a_heartbeat_that_the_database_refuses_ends_no_capture(shop: Capturing) -> None:
    """As on a standby, or where the function may not be called."""
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)")
    shop.run("REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) FROM PUBLIC", superuser=True)
    shop.apply(shop.name, {"tables": ["public.t"]}, config={"heartbeat.interval.ms": "500"})
    await shop.until(shop.name, "True", "Ready")
    logged = await shop.logs("Could not execute heartbeat action")
    shop.run("INSERT INTO public.t VALUES (1)")

    assert logged
    assert len(await shop.rows(f"shop.{shop.name}.public.t", 1)) == 1
    assert (await shop.until(shop.name, "True", "Ready"))["status"] == "True"


@pytest.mark.case("databases-10")
async def test_logical_messages_of_the_users_own_are_captured_when_they_are_asked_for(shop: Capturing) -> None:
    """Debezium refuses to include some prefixes and to exclude ours."""
    shop.run("CREATE TABLE public.t (id int PRIMARY KEY)")
    shop.apply(shop.name, {"tables": ["public.t"]}, config={"message.prefix.include.list": "audit"})
    await shop.until(shop.name, "True", "Ready")
    shop.run("SELECT pg_logical_emit_message(true, 'audit', 'who')")

    (record,) = await shop.rows(f"shop.{shop.name}.message", 1)
    assert b'"prefix":"audit"' in (record[1] or b"")
