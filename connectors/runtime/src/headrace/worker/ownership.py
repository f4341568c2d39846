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

    def begin(self, now: float) -> None:
        """Begin with the first partitions that the group gives: it has confirmed them at ``now``, or since.

        Who stood still since then asks it anew.
        """
        if not self._ledger.owned:
            self._lease.begin(now)

    def is_sure(self, now: float) -> bool:
        """Whether it is sure; only then may anything be written for them."""
        return self._lease.renew(now) or self._is_confirmed(now)

    def _is_confirmed(self, now: float) -> bool:
        """Ask the group, after a pause in which it may have given them to others."""
        names = listed(one.name for one in self._ledger.owned)
        log.warning("stood still for longer than half a session: asking the group about %s", names)
        confirmed = self._commits.confirm()
        if confirmed:
            self._lease.begin(now)
        return confirmed
