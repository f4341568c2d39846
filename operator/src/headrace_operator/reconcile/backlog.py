"""What offsets seen over time tell: how old the oldest unhandled record is, and how fast records come and go.

Pure: samples go in with their time, figures come out. A record that was there already when the operator began to look
is as old as was watched, or older: such an age is said to be a lower bound, never to be within a target.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from headrace_operator.observed.kafka import Partition, Rates
from headrace_operator.reconcile.letters import Letters

KEPT = 720
"""Samples kept of one consumer: an hour at one each five seconds."""

WINDOW = 30.0
"""Seconds over which rates are measured."""

Offsets = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """At ``at``, each partition's next offset to write and next offset to handle."""

    at: datetime
    partitions: Mapping[Partition, Offsets]


@dataclass(frozen=True, kw_only=True)
class Age:
    """How many seconds a record has waited; ``at_least`` when it was there before anybody looked."""

    seconds: float
    at_least: bool


@dataclass
class History:
    """The samples of one consumer, oldest first, and what its own topics were seen to hold."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT))
    letters: Letters = field(default_factory=Letters)

    def add(self, sample: Sample) -> None:
        """Remember ``sample``, which is newer than those before."""
        self.samples.append(sample)

    def age(self, partition: Partition) -> Age | None:
        """Return how long the next record to handle has waited; None when the partition was not sampled last."""
        if not self.samples or partition not in self.samples[-1].partitions:
            return None
        newest = self.samples[-1]
        end, committed = newest.partitions[partition]
        if committed >= end:
            return Age(seconds=0.0, at_least=False)
        since = newest.at
        for sample in reversed(self.samples):
            known = sample.partitions.get(partition)
            if known is None or known[0] <= committed:
                return Age(seconds=(newest.at - since).total_seconds(), at_least=known is None)
            since = sample.at
        return Age(seconds=(newest.at - since).total_seconds(), at_least=True)

    def rates(self) -> Rates:
        """Return records per second over the last `WINDOW` seconds; None with fewer than two samples."""
        if not self.samples:
            return Rates(arrivals=None, handled=None)
        newest = self.samples[-1]
        recent = [one for one in self.samples if (newest.at - one.at).total_seconds() <= WINDOW]
        seconds = (newest.at - recent[0].at).total_seconds()
        if seconds <= 0:
            return Rates(arrivals=None, handled=None)
        arrived, handled = _moved(recent[0], newest)
        return Rates(arrivals=arrived / seconds, handled=handled / seconds)


def _moved(first: Sample, last: Sample) -> tuple[int, int]:
    both = first.partitions.keys() & last.partitions.keys()
    arrived = sum(max(0, last.partitions[one][0] - first.partitions[one][0]) for one in both)
    handled = sum(max(0, last.partitions[one][1] - first.partitions[one][1]) for one in both)
    return arrived, handled
