"""Snapshots that somebody wrote to do harm; see `hostile`, which has the other kinds. All are the corpus."""

from __future__ import annotations

from typing import Any

from tests.operator.api.hostile import INVALID, OF_OTHERS, Hostile
from tests.operator.api.hostile_relays import OF_PODS

ONE_CONDITION = "a filter is one SQL condition"
TABLE = "a table is schema.table"


def _snapshot(after: str, server: str, plan: str, reason: str = INVALID, **change: Any) -> Hostile:
    return Hostile(kind="Snapshot", after=after, change=change, server=server, plan=plan, reason=reason)


def _filter(after: str, where: str) -> Hostile:
    of = [{"table": "public.outbox", "where": where}]
    return _snapshot(after, ONE_CONDITION, ONE_CONDITION, filter=of)


OF_SNAPSHOTS = (
    _filter("another statement behind the condition", "true); DROP TABLE orders; SELECT (1"),
    _filter("what comes after the condition as a comment", "true) OR (1=1 --"),
    _filter("a comment that never ends", "true /* "),
    _snapshot("SQL in a table", TABLE, TABLE, tables=['public.outbox"; DROP TABLE orders; --']),
    _snapshot("several tables as one", TABLE, TABLE, tables=["public.outbox,public.users"]),
    _snapshot(
        "a table that is not the Connector's, by a filter",
        "a filter is for a table that is in tables",
        "a filter is for a table that is in tables",
        filter=[{"table": "public.users", "where": "true"}],
    ),
)
CORPUS = (*OF_OTHERS, *OF_PODS, *OF_SNAPSHOTS)
