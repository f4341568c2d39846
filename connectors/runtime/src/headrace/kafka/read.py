"""What one read of the Kafka consumer brought."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from headrace.flow.partitions import Partition
from headrace.record import Record


class Read(NamedTuple):
    """Records, ends of partitions reached, and partitions with the offset that does not exist.

    An end is the offset after all that can be read now; it lies beyond transaction markers and compaction gaps. Of a
    log that was cut the client does not always say at which offset it was read.
    """

    records: list[Record]
    ends: list[tuple[Partition, int]]
    lost: list[tuple[Partition, int | None]]

    def without(self, partitions: Collection[Partition]) -> Read:
        """Return what was read of others than these partitions."""
        if not partitions:
            return self
        return Read(
            [one for one in self.records if (one.topic, one.partition) not in partitions],
            [one for one in self.ends if one[0] not in partitions],
            [one for one in self.lost if one[0] not in partitions],
        )
