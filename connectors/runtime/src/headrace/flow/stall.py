"""Which partitions stand still: Kafka has records beyond what was read, reading is free, and nothing comes.

Pure: time and the ends of the partitions are arguments. It must not guess: an end that is not known proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.flow.ledger import Assignment
from headrace.flow.partitions import Partition


class Watch:
    """What was seen at the looks so far; time counts only while reading is free."""

    def __init__(self) -> None:
        self._since: dict[Assignment, tuple[float, int | None]] = {}
        self._now = 0.0

    def look(self, owned: Iterable[Assignment], ends: Mapping[Partition, int], now: float) -> None:
        """Note at ``now`` (seconds spent reading) which partitions are behind the ``ends`` that Kafka answered.

        An assignment that has not even reached an end is behind too: the client says so wherever it can read.
        """
        behind: dict[Assignment, tuple[float, int | None]] = {}
        for assignment in owned:
            end, read = ends.get(assignment.name), assignment.end
            if end is None or (read is not None and read >= end):
                continue
            since, was = self._since.get(assignment, (now, read))
            behind[assignment] = (since if was == read else now, read)
        self._since, self._now = behind, now

    def standing(self, seconds: float) -> list[Assignment]:
        """Return the partitions that at the last look had stood still for at least ``seconds``."""
        return [assignment for assignment, (since, _) in self._since.items() if self._now - since >= seconds]
