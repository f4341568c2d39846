"""What was told of suspects before their crash was counted, so that it is told again where none came.

The poll thread alone owns it.
"""

from __future__ import annotations

from collections.abc import Collection

from headrace.flow.lanes import Job
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import Tried


class Risks:
    """The suspects that run, of the partitions in ``ledger``."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._before: dict[tuple[Assignment, int], Tried] = {}

    def count(self, jobs: Collection[Job]) -> None:
        """Note that these records may end the process now, once more than they did."""
        for job in jobs:
            since = int(job.first_failed_at or 0)
            tried = Tried(job.attempt, job.crashes, since=since, worker_crashes=job.worker_crashes)
            self._before[job.assignment, job.record.offset] = tried
            self._ledger.note(job.assignment, job.record.offset, tried._replace(crashes=job.crashes + 1))

    def settle(self, assignment: Assignment, offset: int) -> None:
        """Note that an attempt has ended, and the process has not."""
        if self._before:
            self._before.pop((assignment, offset), None)

    def end(self, leaving: Collection[Assignment]) -> None:
        """Note that what still runs as its partition is given away has not ended the process."""
        for assignment, offset in [at for at in self._before if at[0] in leaving]:
            self._ledger.note(assignment, offset, self._before.pop((assignment, offset)))
