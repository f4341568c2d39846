"""One PostgreSQL source: log in, keep what is declared, and tell what is seen; what fails is told, and tried again."""

from __future__ import annotations

from datetime import UTC, datetime

from headrace_agent import declared, told
from headrace_agent.sources.postgres import publication, server, slot, tables
from headrace_agent.sources.postgres.deeds import Deeds
from headrace_agent.sources.postgres.growth import Growth
from headrace_agent.sources.postgres.heartbeat import Heartbeat
from headrace_agent.sources.postgres.session import Session, connect
from headrace_agent.told import Seen, Unknown
from headrace_agent.unseen import Unseen, fact


class Postgres:
    """What is remembered of one source between two looks: its connection, its growth, its heartbeats, its deeds."""

    def __init__(self, source: declared.Postgres) -> None:
        self._source = source
        self._session: Session | None = None
        self._growth = Growth()
        self._heartbeat = Heartbeat()
        self._deeds = Deeds(_now)

    def unseen(self, why: Unknown, looked_at: datetime | None = None) -> told.Postgres:
        """Return that nothing of it is known."""
        return told.Postgres(
            name=self._source.name,
            looked_at=looked_at,
            login=why,
            server=why,
            tables=why,
            publication=why,
            slot=why,
            position=why,
            heartbeat=why,
            deeds=self._deeds.told(),
        )

    async def look(self) -> told.Postgres:
        """Keep, and look; never raises but for a fault of ours."""
        try:
            session = await self._opened()
            login = await server.login(session)
        except Unseen as unseen:
            return self.unseen(unseen.unknown, _now())
        await self._keep(session)
        return await self._facts(session, login)

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    async def _opened(self) -> Session:
        if self._session is not None and self._session.is_current():
            return self._session
        self.close()
        self._session = self._deeds.session = await connect(self._source)
        return self._session

    async def _keep(self, session: Session) -> None:
        """Converge on what is declared; what cannot be seen now is told by the look that follows."""
        if self._source.slot.state == "DroppedOnceLost":
            await fact(slot.drop_lost(session, self._source, self._deeds))
        await fact(self._keep_publication(session))
        if self._source.heartbeat is not None:
            await self._heartbeat.keep(self._source.heartbeat, self._deeds, _now())

    async def _keep_publication(self, session: Session) -> None:
        wanted, deeds = self._source, self._deeds
        is_gone = wanted.slot.state != "Dropped" or await slot.drop(session, wanted, deeds)
        match wanted.publication.state:
            case "Kept":
                await publication.keep(session, wanted, deeds)
            case "Dropped" if is_gone:
                await publication.drop(session, wanted.publication.name, deeds)

    async def _facts(self, session: Session, login: told.Login) -> told.Postgres:
        source = self._source
        seen = await fact(slot.look(session, source.slot.name, self._growth))
        return told.Postgres(
            name=source.name,
            looked_at=_now(),
            login=Seen(value=login),
            server=await fact(server.server(session)),
            tables=await fact(tables.look(session, source.tables, source.publication.name)),
            publication=await fact(publication.look(session, source.publication.name)),
            slot=seen,
            position=await fact(server.position(session)),
            heartbeat=self._beats(seen),
            deeds=self._deeds.told(),
        )

    def _beats(self, seen: Seen[told.Slot | None] | Unknown) -> Seen[told.Heartbeat | None] | Unknown:
        return Seen(value=self._heartbeat.told(seen.value, _now())) if isinstance(seen, Seen) else seen


def _now() -> datetime:
    return datetime.now(UTC)
