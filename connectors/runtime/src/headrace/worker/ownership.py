"""Whether the partitions in a ledger are surely still ours: a process that stood still asks the group.

The poll thread alone owns it.
"""

from __future__ import annotations

import logging

from headrace.flow.lease import Lease
from headrace.flow.ledger import Ledger
from headrace.flow.partitions import listed
from headrace.worker.commits import Commits

log = logging.getLogger(__name__)


class Ownership:
    """What is known of it, by the lease that other threads look at."""

    def __init__(self, lease: Lease, commits: Commits, ledger: Ledger) -> None:
        self._lease = lease
        self._commits = commits
        self._ledger = ledger
        self._asked: float | None = None

    def begin(self, now: float) -> None:
        """Begin with the first partitions that the group gives: it has confirmed them at ``now``, or since.

        Who stood still since then asks it anew.
        """
        if not self._ledger.owned:
            self._lease.begin(now)

    def is_sure(self, now: float) -> bool:
        """Whether it is sure; only then may anything be written for them."""
        if self._lease.renew(now):
            return True
        if self._asked is None:
            self._ask(now)
        return self._lease.holds(now)

    def _ask(self, now: float) -> None:
        """Ask the group, after a pause in which it may have given them to others."""
        names = listed(one.name for one in self._ledger.owned)
        log.warning("stood still for longer than half a session: asking the group about %s", names)
        self._asked = now
        self._commits.confirm(self._hear)

    def _hear(self, confirmed: bool) -> None:
        """Learn what it says, as it was when it was asked at the earliest."""
        asked, self._asked = self._asked, None
        if confirmed and asked is not None:
            self._lease.begin(asked)
