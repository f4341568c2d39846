"""For how long the group surely still counts on this process: a process that stood still may have lost its partitions.

Kafka gives the partitions of a member that was silent for its session to others, and the member learns of it only when
it asks. The poll thread renews the lease, other threads read it. Pure: the clock is an argument.
"""

from __future__ import annotations


class Lease:
    """Holds for ``seconds`` after it was renewed; lapsed, it is begun anew only when the group has confirmed it."""

    def __init__(self, seconds: float, now: float) -> None:
        self._seconds = seconds
        self._until = now + seconds

    def holds(self, now: float) -> bool:
        """Return whether the partitions are surely still ours at ``now``."""
        return now < self._until

    def renew(self, now: float) -> bool:
        """Prolong the lease while it holds; False when it has lapsed."""
        if self.holds(now):
            self.begin(now)
            return True
        return False

    def begin(self, now: float) -> None:
        """Begin the lease: the group has confirmed at ``now`` that the partitions are ours."""
        self._until = now + self._seconds
