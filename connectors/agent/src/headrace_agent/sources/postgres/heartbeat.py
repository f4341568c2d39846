"""Heartbeats: logical messages in a PostgreSQL's WAL, by which the slot of a database moves in which nothing changes.

They are transactional, as only what a commit ends moves what Debezium confirms.
https://www.postgresql.org/docs/current/functions-admin.html#PG-LOGICAL-EMIT-MESSAGE
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from headrace_agent import declared, told
from headrace_agent.sources.postgres.deeds import Deeds

_BEAT = sql.SQL("SELECT pg_logical_emit_message(true, {}, {})::text AS position")
_REMEMBERED = 10_000
"""Beats that wait for the slot's reader, of which older ones are forgotten: a day of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Beat:
    at: datetime
    due: float
    position: str


class Heartbeat:
    """The heartbeats of one source."""

    def __init__(self) -> None:
        self._waiting: deque[_Beat] = deque(maxlen=_REMEMBERED)
        self._newest: _Beat | None = None
        self._confirmed: _Beat | None = None

    async def keep(self, wanted: declared.Heartbeat, deeds: Deeds, now: datetime) -> None:
        """Write one if it is due."""
        if self._newest is not None and time.monotonic() < self._newest.due:
            return
        rows = await deeds.do("Beat", _BEAT.format(sql.Literal(wanted.prefix), sql.Literal(now.isoformat())))
        for row in rows:
            self._newest = _Beat(at=now, due=time.monotonic() + wanted.interval, position=row["position"])
            self._waiting.append(self._newest)

    def told(self, slot: told.Slot | None, now: datetime) -> told.Heartbeat | None:
        """Return the newest, None before the first, and what ``slot``'s reader has confirmed of them."""
        if self._newest is None:
            return None
        confirmed = number(slot.confirmed_position) if slot is not None and slot.confirmed_position else 0
        while self._waiting and number(self._waiting[0].position) <= confirmed:
            self._confirmed = self._waiting.popleft()
        return told.Heartbeat(
            at=self._newest.at,
            age=(now - self._newest.at).total_seconds(),
            position=self._newest.position,
            confirmed_at=self._confirmed.at if self._confirmed is not None else None,
        )


def number(position: str) -> int:
    """Return a WAL position, such as ``0/16B3748``, as a number."""
    high, low = position.split("/")
    return (int(high, 16) << 32) + int(low, 16)
