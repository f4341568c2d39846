"""What was done to keep what is declared: each statement is told, and why it failed, if it did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import DictRow

from headrace_agent.sources.postgres.session import Session
from headrace_agent.told import Deed, Unknown
from headrace_agent.unseen import Unseen

Kind = Literal["MakePublication", "AlterPublication", "DropPublication", "DropSlot", "Beat"]


class Deeds:
    """The newest deed of each kind, by a session that changes with each login."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._newest: dict[Kind, Deed] = {}
        self.session: Session | None = None

    async def do(self, kind: Kind, statement: sql.SQL | sql.Composed) -> list[DictRow]:
        """Run a statement and keep what became of it; gives its rows, none when it failed."""
        assert self.session is not None
        failure: Unknown | None = None
        rows: list[DictRow] = []
        try:
            rows = await self.session.rows(statement)
        except Unseen as unseen:
            failure = unseen.unknown
        self._newest[kind] = Deed(kind=kind, at=self._now(), statement=statement.as_string(None), failure=failure)
        return rows

    def settled(self, kind: Kind) -> None:
        """Forget a deed that failed, as there is nothing left to do of its kind."""
        if (deed := self._newest.get(kind)) is not None and deed.failure is not None:
            del self._newest[kind]

    def told(self) -> tuple[Deed, ...]:
        """Return them all, the oldest first."""
        return tuple(sorted(self._newest.values(), key=lambda deed: deed.at))
