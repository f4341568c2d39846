"""What the group is to know before something happens: that waits until the group has it, but not for ever.

A group that cannot be told holds up nothing for longer: what was to be known is not, then. The poll thread alone owns
it; answers come as it reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from headrace.flow.lanes import Job
from headrace.flow.ledger import Assignment
from headrace.flow.partitions import listed
from headrace.flow.patience import Patience
from headrace.worker.commits import Commits

log = logging.getLogger(__name__)

WAIT, AGAIN = 5.0, 0.5
"""Seconds that the group has, and after which it is told again what it did not take.

Less than half of a session, after which a pod asks whether its partitions are its own.
"""


class Beforehand:
    """What waits for the group to be told."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._asked: list[_Asked] = []

    def ask(self, assignments: Collection[Assignment], then: Callable[[], object], now: float) -> None:
        """Tell the group what is known of these, and call ``then`` once, when it knows or does not take it."""
        one = _Asked(assignments, then, now)
        self._asked.append(one)
        self._tell(one, now)

    def serve(self, now: float) -> None:
        """Tell again what was not taken, and let go on what has waited for long enough; called often."""
        for one in [*self._asked]:
            if one.patience.is_over(now):
                log.warning("going on, as the group cannot be told of %s", listed(at.name for at in one.assignments))
                self._end(one)
            elif one.failed and one.pause.is_over(now):
                self._tell(one, now)

    def go_on(self) -> None:
        """Let all go on: nothing is read now, so that no answer comes."""
        for one in [*self._asked]:
            self._end(one)

    def _tell(self, one: _Asked, now: float) -> None:
        one.failed = False
        one.pause.renew(now)
        self._commits.write_ahead([at for at in one.assignments if not at.given_away], partial(self._hear, one))

    def _hear(self, one: _Asked, taken: bool) -> None:
        one.failed = not taken
        if taken:
            self._end(one)

    def _end(self, one: _Asked) -> None:
        if one in self._asked:
            self._asked.remove(one)
            one.then()


class _Asked:
    def __init__(self, assignments: Collection[Assignment], then: Callable[[], object], now: float) -> None:
        self.assignments = assignments
        self.then = then
        self.patience = Patience(WAIT, now)
        self.pause = Patience(AGAIN, now)
        self.failed = False


class Doorstep:
    """Records of partitions with which the pod begins, and what comes after them: until the group knows that it does.

    Who finds that told later knows of an unclean stop, so nothing of them runs before. ``handed`` counts what was let
    in.
    """

    def __init__(self, beforehand: Beforehand, accept: Callable[[list[Job]], object]) -> None:
        self._beforehand = beforehand
        self._accept = accept
        self.handed = 0
        self._jobs: list[Job] = []
        self._untold = 0

    def take(self, jobs: Collection[Job], now: float) -> None:
        """Let these in, at once where all is told."""
        self._jobs += jobs
        fresh = {job.assignment for job in jobs if not job.assignment.begun}
        for one in fresh:
            one.begun = True
        if fresh:
            self._untold += 1
            self._beforehand.ask(fresh, self._told, now)
        elif not self._untold:
            self._let_in()

    def drop(self, assignments: Collection[Assignment]) -> None:
        """Leave out what is of these, which leave."""
        leaving = frozenset(assignments)
        self._jobs = [job for job in self._jobs if job.assignment not in leaving]

    def _told(self) -> None:
        self._untold -= 1
        if not self._untold:
            self._let_in()

    def _let_in(self) -> None:
        jobs, self._jobs = self._jobs, []
        self.handed += len(jobs)
        if jobs:
            self._accept(jobs)
