"""Who is logged in to a PostgreSQL, the server's settings, and its position."""

from __future__ import annotations

from psycopg import sql

from headrace_agent.sources.postgres.session import Session
from headrace_agent.told import Login, Position, Server
from headrace_agent.unseen import Unseen

NOW = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
"""SQL of the server's position, which a standby has from its primary."""

_LOGIN = sql.SQL("""
SELECT rolname AS "user", rolsuper AS superuser, rolsuper OR rolreplication OR EXISTS (
         SELECT FROM pg_roles lent WHERE lent.rolname = 'rds_replication' AND pg_has_role(lent.oid, 'MEMBER')
       ) AS replication,
       has_database_privilege(current_database(), 'CREATE') AS creates_in_database,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted
FROM pg_roles WHERE rolname = current_user
""")

_SERVER = sql.SQL("""
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_number,
       pg_is_in_recovery() AS in_recovery, current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS max_slots,
       (SELECT count(*) FROM pg_replication_slots) AS slots,
       current_setting('max_wal_senders')::int AS max_senders,
       (SELECT count(*) FROM pg_stat_replication) AS senders,
       (SELECT setting::bigint * 1024 * 1024 FROM pg_settings
        WHERE name = 'max_slot_wal_keep_size' AND setting::bigint >= 0) AS max_slot_wal_keep_bytes,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS wal_segment_bytes
""")

_IDENTIFIER = sql.SQL("SELECT system_identifier::text AS identifier FROM pg_control_system()")

_POSITION = sql.SQL("SELECT lsn::text, (lsn - '0/0'::pg_lsn)::bigint AS number FROM (SELECT " + NOW + " AS lsn) now")


async def login(session: Session) -> Login:
    """Look who is logged in; on RDS, the members of a role may replicate. Raises `Unseen`."""
    (row,) = await session.rows(_LOGIN)
    return Login.model_validate(row)


async def server(session: Session) -> Server:
    """Look at the server; raises `Unseen`."""
    (row,) = await session.rows(_SERVER)
    return Server.model_validate(row | {"system_identifier": await _identifier(session)})


async def position(session: Session) -> Position:
    """Look where the server is; raises `Unseen`."""
    (row,) = await session.rows(_POSITION)
    return Position.model_validate(row)


async def _identifier(session: Session) -> str | None:
    try:
        (row,) = await session.rows(_IDENTIFIER)
    except Unseen as unseen:
        if unseen.unknown.cause == "RightMissing":
            return None
        raise
    return str(row["identifier"])
