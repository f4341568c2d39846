"""Looks at each source again and again, in a task of its own, so that one that hangs delays no other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from headrace_agent import told
from headrace_agent.declared import Declaration, digest
from headrace_agent.sources.postgres.look import Postgres
from headrace_agent.told import Deed, Told, Unknown

EVERY = 10.0
"""Seconds from the beginning of one look to that of the next, if it ended by then."""

STUCK = 120.0
"""Seconds without the end of a look, which all its deadlines together are far below."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """A database that is looked at."""

    async def look(self) -> told.Postgres:
        """Keep what is declared, and return what is seen."""

    def unseen(self, why: Unknown, looked_at: datetime | None = None) -> told.Postgres:
        """Return that nothing is known of it."""

    def close(self) -> None:
        """End its connection at once."""


class Looker:
    """One source, what was last seen of it, and when a look last ended."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ended = time.monotonic()
        self.told = source.unseen(Unknown(cause="NotLooked", why="The first look has not ended yet."))

    async def run(self) -> None:
        """Look until it is cancelled."""
        try:
            while True:
                begun = time.monotonic()
                self._tell(await self._look())
                await asyncio.sleep(max(0.0, begun + EVERY - self._ended))
        finally:
            self._source.close()

    async def _look(self) -> told.Postgres:
        """Look once; a fault of ours at one source ends the looks at no other, nor at this one."""
        try:
            return await self._source.look()
        except Exception:
            log.exception("a fault of the agent at source %s", self.told.name)
            return self._source.unseen(Unknown(cause="Refused", why="A fault of the agent, which is in its log."))

    @property
    def is_stuck(self) -> bool:
        """Whether no look has ended for too long."""
        return time.monotonic() - self._ended > STUCK

    def _tell(self, seen: told.Postgres) -> None:
        if (outcome := _outcome(seen)) != _outcome(self.told):
            log.info("source %s: %s", seen.name, outcome)
        for deed in news(self.told.deeds, seen.deeds):
            log.info("source %s: %s: %s", seen.name, deed.statement, deed.failure.why if deed.failure else "done")
        self.told = seen
        self._ended = time.monotonic()


class Looking:
    """All sources of a declaration."""

    def __init__(self, declaration: Declaration) -> None:
        self._digest = digest(declaration)
        self._lookers: Sequence[Looker] = [Looker(Postgres(source)) for source in declaration.sources]

    def start(self) -> list[asyncio.Task[None]]:
        """Begin to look at each of them; a task ends by a fault of ours alone."""
        return [asyncio.create_task(looker.run()) for looker in self._lookers]

    def told(self) -> Told:
        """Return what was last seen of all."""
        return Told(declaration=self._digest, sources=tuple(looker.told for looker in self._lookers))

    def stuck(self) -> list[str]:
        """Name the sources of which no look has ended for too long."""
        return [looker.told.name for looker in self._lookers if looker.is_stuck]


def news(before: Sequence[Deed], now: Sequence[Deed]) -> list[Deed]:
    """Return the deeds that are worth a line: heartbeats that went well are not, nor what failed before, as before."""
    failures = {(deed.kind, deed.failure) for deed in before if deed.failure is not None}
    return [
        deed
        for deed in now
        if ((deed.kind, deed.failure) not in failures if deed.failure else deed.kind != "Beat" and deed not in before)
    ]


def _outcome(seen: told.Postgres) -> str:
    return f"{seen.login.cause}: {seen.login.why}" if isinstance(seen.login, Unknown) else "logged in"
