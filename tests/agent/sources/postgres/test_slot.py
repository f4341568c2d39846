"""Slots and heartbeats, each by making it so in the database."""

from __future__ import annotations

import pytest

from headrace_agent.declared import Heartbeat, Slot
from headrace_agent.sources.postgres import look
from tests.agent.sources.postgres.shop import SLOT, Shop, looked, seen

pytestmark = pytest.mark.slow
MADE = f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')"
NOISE = "INSERT INTO noise SELECT repeat(md5(g::text), 30) FROM generate_series(1, 10000) g"


def _busy(shop: Shop, megabytes: int) -> None:
    """Write that much WAL, as a busy neighbour does."""
    shop.run("CREATE TABLE IF NOT EXISTS noise (v text)", *[NOISE] * (megabytes // 10))
    shop.run("SELECT pg_switch_wal()", "CHECKPOINT")


async def test_none_is_none(shop: Shop) -> None:
    assert seen((await looked(shop.declared())).slot) is None


async def test_a_slot_that_nobody_reads(shop: Shop) -> None:
    shop.run(MADE)

    slot = seen((await looked(shop.declared())).slot)

    assert slot is not None
    assert (slot.plugin, slot.database, slot.active, slot.temporary) == ("pgoutput", "shop", False, False)
    assert (slot.wal_status, slot.growth, slot.hours_left) == ("reserved", None, None)
    assert slot.safe_bytes is not None
    assert slot.safe_bytes > 0


async def test_a_slot_that_grows_says_when_it_is_lost(shop: Shop) -> None:
    shop.run(MADE)
    looker = look.Postgres(shop.declared())
    await looker.look()
    _busy(shop, 10)

    slot = seen((await looker.look()).slot)
    looker.close()

    assert slot is not None
    assert slot.retained_bytes is not None
    assert slot.retained_bytes > 9 << 20
    assert slot.growth is not None
    assert slot.growth > 0
    assert slot.hours_left is not None


async def test_a_slot_that_is_lost(shop: Shop) -> None:
    shop.run(MADE)
    _busy(shop, 80)

    slot = seen((await looked(shop.declared())).slot)

    assert slot is not None
    assert (slot.wal_status, slot.restart_position, slot.retained_bytes) == ("lost", None, None)


async def test_a_lost_slot_alone_is_dropped_where_that_is_declared(shop: Shop) -> None:
    shop.run(MADE)
    declared = shop.declared(slot=Slot(name=SLOT, state="DroppedOnceLost"))
    before = await looked(declared)
    _busy(shop, 80)
    kept = seen((await looked(shop.declared())).slot)

    after = await looked(declared)

    assert (seen(before.slot) is not None, before.deeds) == (True, ())
    assert kept is not None
    assert kept.lost == "lost"
    assert seen(after.slot) is None
    assert [(deed.kind, deed.failure) for deed in after.deeds] == [("DropSlot", None)]


async def test_heartbeats_move_the_slot_of_a_quiet_database(shop: Shop) -> None:
    shop.run(MADE, f"CREATE PUBLICATION {SLOT}")
    looker = look.Postgres(shop.declared(heartbeat=Heartbeat(prefix="headrace.shop.orders-db", interval=1)))
    before = seen((await looker.look()).heartbeat)
    options = f"'proto_version', '1', 'publication_names', '{SLOT}'"
    shop.run(f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('{SLOT}', NULL, NULL, {options})")

    after = seen((await looker.look()).heartbeat)
    looker.close()

    assert before is not None
    assert before.confirmed_at is None
    assert after is not None
    assert after.confirmed_at == before.at
    assert after.age >= 0


async def test_a_heartbeat_is_written_no_sooner_than_asked(shop: Shop) -> None:
    looker = look.Postgres(shop.declared(heartbeat=Heartbeat(prefix="p", interval=3600)))

    first, second = [seen((await looker.look()).heartbeat) for _ in range(2)]
    looker.close()

    assert first is not None
    assert second is not None
    assert (first.at, first.position) == (second.at, second.position)


async def test_without_one_declared_nothing_is_written(shop: Shop) -> None:
    answer = await looked(shop.declared())

    assert (seen(answer.heartbeat), answer.deeds) == (None, ())
