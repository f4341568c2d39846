"""What Kafka was seen to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class ClusterSeen:
    """A Kafka that answers."""

    cluster_id: str
    brokers: int
    features: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TopicSeen:
    """A topic and its number of partitions."""

    name: str
    partitions: int


@dataclass(frozen=True, kw_only=True)
class PartitionSeen:
    """Offsets of one partition; ``committed`` is None before a first commit; ``lag_seconds`` None when not known."""

    topic: str
    partition: int
    start: int
    end: int
    committed: int | None
    lag_seconds: float | None

    @property
    def lag(self) -> int:
        """Records not handled yet."""
        return max(0, self.end - (self.start if self.committed is None else max(self.committed, self.start)))


@dataclass(frozen=True, kw_only=True)
class BacklogSeen:
    """The backlog of one consumer group at ``at``; ``members`` is None when not known."""

    at: datetime
    partitions: tuple[PartitionSeen, ...]
    members: int | None = None
    dead_letters_total: int | None = None
    dead_letters_outstanding: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Records per second measured over the last minutes; None when there were too few samples."""

    arrivals: float | None
    handled: float | None
    samples: int = 0


TopicsSeen = Mapping[str, TopicSeen]
"""Topics that exist, by name; a name that is missing was seen not to exist."""
