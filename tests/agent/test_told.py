"""What is told, as both sides read and write it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from headrace_agent import told
from headrace_agent.told import Deed, Login, Postgres, Publication, Relation, Seen, Slot, Table, Told, Unknown

NOT_SEEN = Unknown(cause="RightMissing", why="the login may not.")
SLOT = Slot(
    name="s",
    plugin="pgoutput",
    database="shop",
    active=True,
    temporary=False,
    wal_status="reserved",
    invalidation_reason=None,
    restart_position="0/1",
    confirmed_position="0/2",
    retained_bytes=5,
    unconfirmed_bytes=4,
    safe_bytes=None,
    growth=None,
    hours_left=None,
)
ORDERS = Relation(
    oid=16_385,
    kind="Table",
    unlogged=False,
    partition=False,
    owner="shop",
    owned=True,
    selectable=True,
    primary_key=("id",),
    replica_identity="Default",
    unidentified=(),
    rows=None,
    published=None,
)
POSTGRES = Postgres(
    name="orders-db",
    looked_at=datetime(2026, 1, 1, tzinfo=UTC),
    login=Seen(value=Login(user="u", superuser=False, replication=True, creates_in_database=True, encrypted=True)),
    server=NOT_SEEN,
    tables=Seen(value=(Table(name="public.orders", relation=ORDERS), Table(name="public.none", relation=None))),
    publication=Seen[Publication | None](value=None),
    slot=Seen[Slot | None](value=SLOT),
    position=NOT_SEEN,
    heartbeat=NOT_SEEN,
    deeds=(Deed(kind="Beat", at=datetime(2026, 1, 1, tzinfo=UTC), statement="SELECT 1", failure=NOT_SEEN),),
)


def test_what_is_told_is_read() -> None:
    every = Told(declaration="0" * 16, sources=(POSTGRES,))

    assert told.load(told.dump(every)) == every


def test_absent_is_not_unknown() -> None:
    read = told.load(told.dump(Told(declaration="", sources=(POSTGRES,)))).sources[0]

    assert read.publication == Seen[Publication | None](value=None)
    assert read.server == NOT_SEEN


def test_what_another_version_tells_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="version"):
        told.load('{"version": 2, "declaration": "", "sources": []}')
