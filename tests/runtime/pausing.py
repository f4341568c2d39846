"""A Kafka consumer of which nothing is known but what it does not read, for tests of what holds reading back."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.flow.partitions import Partition


class Client:
    """Notes what is paused."""

    def __init__(self) -> None:
        self.paused: set[Partition] = set()

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Note that these are not read from now on."""
        self.paused.update(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Note that these are read again."""
        self.paused.difference_update(partitions)
