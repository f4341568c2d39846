"""Whether a connector moves: since when its offsets have been the same, and what Kafka Connect said of that.

Debezium tries for ever, and says that it runs, when it cannot log in as it starts. With heartbeats every ten seconds
offsets move, too, so that those which stand still are a reason to ask whether the configuration would run at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

STILL = timedelta(minutes=1)
AFTER_A_RESTART = timedelta(seconds=15)
"""How long offsets stand still until one asks; sooner after a restart that followed a failure."""


@dataclass
class Progress:
    """``mark`` is what moves: offsets, and the last restart. ``refused`` is why the connector cannot run, if so."""

    mark: object = None
    since: datetime | None = None
    refused: str | None = None

    def doubtful(self, mark: object, restarted: bool, now: datetime) -> bool:
        """Look at ``mark`` and tell whether it has stood still for so long that one should ask."""
        if self.since is None or mark != self.mark:
            self.mark, self.since, self.refused = mark, now, None
        return self.refused is None and now - self.since >= (AFTER_A_RESTART if restarted else STILL)

    def answered(self, refused: str | None, now: datetime) -> None:
        """Remember the answer; when all is well, one asks again after as long a time."""
        self.refused, self.since = refused, now
