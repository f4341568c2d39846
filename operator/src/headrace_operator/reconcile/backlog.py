"""What offsets seen over time tell: how old the oldest unhandled record is, and how fast records come and go.

Pure: samples go in with their time, figures come out. After a restart of the operator the memory begins anew, and an
age is then at least what was watched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from headrace_operator.observed.kafka import Rates

KEPT = 720
"""Samples kept of one consumer: an hour at one each five seconds."""

WINDOW = 30.0
"""Seconds over which rates are measured."""

Partition = tuple[str, int]
Offsets = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """At ``at``, each partition's next offset to write and next offset to handle."""

    at: datetime
    partitions: Mapping[Partition, Offsets]


@dataclass
class History:
    """The samples of one consumer, oldest first."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, sample: Sample) -> None:
        """Remember ``sample``, which is newer than those before."""
        self.samples.append(sample)

    def lag_seconds(self, partition: Partition) -> float | None:
        """Return for how many seconds at least the next record to handle has been there; None when never sampled."""
        if not self.samples or partition not in self.samples[-1].partitions:
            return None
        newest = self.samples[-1]
        end, committed = newest.partitions[partition]
        if committed >= end:
            return 0.0
        return (newest.at - self._since(partition, committed)).total_seconds()

    def rates(self) -> Rates:
        """Return records per second over the last `WINDOW` seconds; None with fewer than two samples."""
        if not self.samples:
            return Rates(arrivals=None, handled=None)
        newest = self.samples[-1]
        recent = [one for one in self.samples if (newest.at - one.at).total_seconds() <= WINDOW]
        seconds = (newest.at - recent[0].at).total_seconds()
        if seconds <= 0:
            return Rates(arrivals=None, handled=None, samples=len(recent))
        arrived, handled = _moved(recent[0], newest)
        return Rates(arrivals=arrived / seconds, handled=handled / seconds, samples=len(recent))

    def _since(self, partition: Partition, committed: int) -> datetime:
        """Return when the record at ``committed`` was first seen to be there."""
        since = self.samples[-1].at
        for sample in reversed(self.samples):
            if sample.partitions.get(partition, (0, 0))[0] <= committed:
                break
            since = sample.at
        return since


def _moved(first: Sample, last: Sample) -> tuple[int, int]:
    both = first.partitions.keys() & last.partitions.keys()
    arrived = sum(max(0, last.partitions[one][0] - first.partitions[one][0]) for one in both)
    handled = sum(max(0, last.partitions[one][1] - first.partitions[one][1]) for one in both)
    return arrived, handled
