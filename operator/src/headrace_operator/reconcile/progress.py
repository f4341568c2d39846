"""Whether a connector moves: since when its offsets have been the same, and what Kafka Connect said of that.

Debezium tries for ever, and says that it runs, when it cannot log in as it starts. With heartbeats every ten seconds
offsets move, too, so that those which stand still are a reason to ask whether the configuration would run at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace_operator.observed.source import SourceSeen
from headrace_operator.observed.value import Absent, Unknown

STILL = timedelta(seconds=45)
AFTER_A_RESTART = timedelta(seconds=15)
"""How long offsets stand still until one asks; sooner after a restart that followed a failure."""

REPLACED = timedelta(seconds=60)
"""How long what the source agent told holds while it does not answer: a change of what is declared replaces it."""


@dataclass
class Progress:
    """The offsets seen last, the last ``restart`` after a failure, and since when neither changed.

    ``rested`` tells whether offsets are known to be those of before that restart. ``refused`` is why the connector
    could not run, as it was answered since; ``well_since`` is when the answers began to be that it could. ``moved_at``
    is as ``since``, whatever was answered. ``told`` is what the source agent said last of the database, at ``told_at``.
    """

    offsets: object = None
    moved_at: datetime | None = None
    told: SourceSeen | None = None
    told_at: datetime | None = None
    restart: datetime | None = None
    since: datetime | None = None
    rested: bool = False
    refused: str | None = None
    well_since: datetime | None = None

    def failed(self) -> None:
        """Forget what was well before tasks failed."""
        self.well_since = None

    def look(self, offsets: object, restart: datetime | None, now: datetime, before: object = None) -> None:
        """Note what is there now, also while tasks fail; ``offsets`` are None when nobody could tell.

        ``before`` are those that were recorded with the restart, maybe by an operator that ended since: by them alone
        it is known that tasks read nothing since.
        """
        offsets = self.offsets if offsets is None else offsets
        if self.since is None or offsets != self.offsets:
            self.refused, self.well_since = None, None
            self.offsets, self.restart, self.since = offsets, restart, now
            self.moved_at = now
        elif restart != self.restart:
            self.moved_at = now
            self.restart, self.since, self.refused = restart, now, None
        self.rested = before is not None and offsets == before

    def stands(self, now: datetime) -> bool:
        """Tell whether offsets have been the same for a while, whatever was asked meanwhile."""
        return self.moved_at is not None and now - self.moved_at >= STILL

    def tell(self, source: SourceSeen | Absent | Unknown, now: datetime) -> SourceSeen | Absent | Unknown:
        """Return what the agent tells of the database, or did a moment ago while it is replaced."""
        if isinstance(source, SourceSeen):
            self.told, self.told_at = source, now
            return source
        fresh = self.told_at is not None and now - self.told_at <= REPLACED
        return self.told if self.told is not None and fresh else source

    def doubtful(self, now: datetime) -> bool:
        """Tell whether nothing has changed for so long that one should ask."""
        wait = STILL if self.restart is None else AFTER_A_RESTART
        return self.refused is None and self.since is not None and now - self.since >= wait

    def answered(self, refused: str | None, now: datetime) -> None:
        """Remember the answer; when all is well, one asks again after as long a time."""
        self.refused, self.since = refused, now
        self.well_since = None if refused else self.well_since or now

    @property
    def doubt(self) -> str | None:
        """Say why tasks that say that they run may not: they cannot, or were started before they could."""
        if self.refused is not None:
            return f"The tasks say that they run, and cannot: {self.refused}"
        if self.restart and self.well_since and self.rested and self.well_since > self.restart:
            return (
                "The tasks say that they run, but read nothing since they were restarted, and may hold an old password"
            )
        return None
