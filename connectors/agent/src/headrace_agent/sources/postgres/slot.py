"""The replication slot of a PostgreSQL source: looked at, and dropped where that is declared and nobody uses it.

Columns that older servers do not have are read by way of JSON, so that one statement serves all.
https://www.postgresql.org/docs/current/view-pg-replication-slots.html
"""

from __future__ import annotations

import time

from psycopg import sql

from headrace_agent import declared
from headrace_agent.sources.postgres.deeds import Deeds
from headrace_agent.sources.postgres.growth import Growth, hours_left
from headrace_agent.sources.postgres.server import NOW
from headrace_agent.sources.postgres.session import Session
from headrace_agent.told import Slot

_SLOT = sql.SQL(
    """
SELECT slot_name::text AS name, plugin::text, database::text, active, temporary,
       to_jsonb(s) ->> 'wal_status' AS wal_status, to_jsonb(s) ->> 'invalidation_reason' AS invalidation_reason,
       restart_lsn::text AS restart_position, confirmed_flush_lsn::text AS confirmed_position,
       (lsn - restart_lsn)::bigint AS retained_bytes, (lsn - confirmed_flush_lsn)::bigint AS unconfirmed_bytes,
       (to_jsonb(s) ->> 'safe_wal_size')::bigint AS safe_bytes
FROM pg_replication_slots s, (SELECT """
    + NOW
    + """ AS lsn) now WHERE slot_name = %(slot)s
"""
)

_UNUSED = (
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots s "
    "WHERE slot_name = {} AND database = current_database() AND NOT active"
)
_DROP = sql.SQL(_UNUSED)
_DROP_LOST = sql.SQL(
    _UNUSED + " AND (to_jsonb(s) ->> 'wal_status' = 'lost' OR to_jsonb(s) ->> 'invalidation_reason' IS NOT NULL)"
)


async def look(session: Session, name: str, growth: Growth) -> Slot | None:
    """Look at the slot, and at how it grows since earlier looks; raises `Unseen`."""
    rows = await session.rows(_SLOT, {"slot": name})
    row = rows[0] if rows else {"retained_bytes": None}
    grows = growth.add(time.monotonic(), row["retained_bytes"])
    if not rows:
        return None
    return Slot.model_validate(row | {"growth": grows, "hours_left": hours_left(row["safe_bytes"], grows)})


async def drop_lost(session: Session, source: declared.Postgres, deeds: Deeds) -> None:
    """Drop the slot of this database if it is lost, so that nothing of it can be read ever again. Raises `Unseen`."""
    seen = await look(session, source.slot.name, Growth())
    if seen is None or seen.database != source.database or seen.lost is None:
        deeds.settled("DropSlot")
        return
    await deeds.do("DropSlot", _DROP_LOST.format(sql.Literal(source.slot.name)))


async def drop(session: Session, source: declared.Postgres, deeds: Deeds) -> bool:
    """Drop the slot if it is there, of this database, and not in use; tell whether it is gone. Raises `Unseen`."""
    name = source.slot.name
    seen = await look(session, name, Growth())
    if seen is None:
        deeds.settled("DropSlot")
        return True
    if seen.active or seen.database != source.database:
        return False
    await deeds.do("DropSlot", _DROP.format(sql.Literal(name)))
    return await look(session, name, Growth()) is None
