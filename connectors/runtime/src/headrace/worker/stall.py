"""Whether the partitions that are ours move: how long the oldest record holds back commits, and which stand still.

The poll thread alone owns it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.partitions import Partition, listed
from headrace.flow.stall import Watch
from headrace.kafka.consumer import Source
from headrace.metrics import Metrics
from headrace.worker.copartitions import Copartitions
from headrace.worker.lost import Lost
from headrace.worker.pauses import Pauses

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
STALLED, STUCK = 30.0, 120.0
"""Seconds of reading without any of the records that Kafka has, until a pod is not ready, and until it is not alive."""


LONGEST = 1.0
"""Seconds of one turn that count as reading at most: in a longer one something else was done, or nothing at all."""


class Stalls:
    """What was seen of everything in ``ledger``; `stalled` and `stuck` are the partitions that stand still."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        pauses: Pauses,
        copartitions: Copartitions,
        lost: Lost,
        metrics: Metrics,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._pauses = pauses
        self._copartitions = copartitions
        self._lost = lost
        self._metrics = metrics
        self._moved: dict[Assignment, tuple[int | None, float]] = {}
        self._watch = Watch()
        self._reading, self._looked_at = 0.0, 0.0
        self.stalled: list[Partition] = []
        self.stuck: list[Partition] = []

    def measure(self, now: float) -> None:
        """Tell how many records are unfinished, and for how long the oldest one of a partition has been.

        One that is halted is not meant.
        """
        self._metrics.waiting.set(self._ledger.unfinished)
        oldest = 0.0
        for assignment in self._ledger.owned:
            frontier, since = self._moved.get(assignment, (None, now))
            if frontier != assignment.frontier or not assignment.unfinished or assignment.halted:
                since = now
            self._moved[assignment] = (assignment.frontier, since)
            oldest = max(oldest, now - since)
        self._metrics.frontier_age.set(oldest)

    def look_when_due(self, now: float, *, read: float) -> None:
        """See whether records come from wherever Kafka has some, after ``read`` more seconds of reading.

        A partition that stopped loudly or waits is not meant.
        """
        self._reading += min(read, LONGEST)
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        if self._pauses.alone:
            self._copartitions.judge(self._ledger.owned)
        owned = [one for one in self._ledger.owned if one.name not in self._lost and one not in self._pauses.some]
        self._watch.look(owned, self._source.ends(one.name for one in owned), self._reading)
        before, self.stalled = self.stalled, [one.name for one in self._watch.standing(STALLED)]
        self.stuck = [one.name for one in self._watch.standing(STUCK)]
        self._metrics.stalled.set(len(self.stalled))
        if set(self.stalled) - set(before):
            log.error("Kafka has records in %s and none comes for %.0f s", listed(self.stalled), STALLED)

    def forget(self, assignments: Collection[Assignment]) -> None:
        """Forget partitions that are given away."""
        gone = {assignment.name for assignment in assignments}
        for assignment in assignments:
            self._moved.pop(assignment, None)
        self.stalled = [one for one in self.stalled if one not in gone]
        self.stuck = [one for one in self.stuck if one not in gone]
