"""What offsets seen over time tell: how old unhandled records are, how fast records come and go, what keeps behind.

Pure: samples go in with their time, figures come out. A record that was there already when the operator began to look
is as old as was watched, or older: such an age is said to be a lower bound, never to be within a target.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from headrace_operator.observed.kafka import CapturedSeen, Load, Partition, PartitionSeen, Rates
from headrace_operator.plan.own_topics import Settings
from headrace_operator.reconcile.arrivals import Age, Arrivals
from headrace_operator.reconcile.letters import Letters
from headrace_operator.reconcile.loads import Loads
from headrace_operator.reconcile.looks import Looks
from headrace_operator.reconcile.progress import Progress

WINDOW = 30.0
"""Seconds over which rates are measured; where looks are further apart, from one look to the next."""

APART = 4.0
"""Seconds between two looks that are compared: commits come each second, and what they tell each five."""

GAP = 15.0
"""Seconds without a sample, three looks, after which what was before says nothing of now."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """At ``at``, what was seen of each partition, and how many replicas were ready."""

    at: datetime
    partitions: Mapping[Partition, PartitionSeen]
    ready: int = 0


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A sample with the seconds that the oldest record waited of each partition, of those that could be handled."""

    sample: Sample
    waited: Mapping[Partition, float]

    @property
    def at(self) -> datetime:
        """When it was."""
        return self.sample.at


@dataclass
class History:
    """The last samples of a consumer, since when its records are there, what its own topics hold and how they are set.

    It has the last load of each pod; of a connector it has the progress, and how its topics were, and of all that
    have pods when their contracts are looked at again.
    """

    looks: deque[Looked] = field(default_factory=deque)
    arrivals: dict[Partition, Arrivals] = field(default_factory=dict)
    letters: Letters = field(default_factory=Letters)
    loads: Loads = field(default_factory=Loads)
    settings: Looks[Settings] = field(default_factory=lambda: Looks(of={}))
    captured: Looks[CapturedSeen] = field(default_factory=lambda: Looks(of=CapturedSeen()))
    progress: Progress = field(default_factory=Progress)
    contracts_again: datetime | None = None
    steady_since: datetime | None = None
    seen: datetime | None = None

    def at(self, now: datetime) -> History:
        """Return what is remembered at ``now``: nothing once the clock was set back by more than a window."""
        kept = History() if self.seen and (self.seen - now).total_seconds() > WINDOW else self
        kept.seen = now
        return kept

    def look_anew(self) -> None:
        """Have what is seldom looked at be looked at in the next pass; what was measured stays."""
        self.settings.again = None
        self.captured.again = None
        self.contracts_again = None

    def add(self, sample: Sample) -> None:
        """Remember ``sample``, which is newer than those before."""
        last = self.looks[-1] if self.looks else None
        if last is None or (sample.at - last.at).total_seconds() > GAP or sample.ready != last.sample.ready:
            self.steady_since = sample.at
        for at, part in sample.partitions.items():
            if at not in self.arrivals:
                self.arrivals[at] = Arrivals()
            self.arrivals[at].add(part.end, part.next if part.lag else part.end, sample.at)
        for gone in self.arrivals.keys() - sample.partitions.keys():
            del self.arrivals[gone]
        self.looks.append(Looked(sample=sample, waited=self._waited(sample)))
        while len(self.looks) > 2 and (sample.at - self.looks[0].at).total_seconds() > WINDOW:
            self.looks.popleft()

    def age(self, partition: Partition) -> Age | None:
        """Return how long the next record to handle has waited; None when the partition was not sampled last."""
        if not self.looks or partition not in self.looks[-1].sample.partitions:
            return None
        part = self.looks[-1].sample.partitions[partition]
        return self.arrivals[partition].age(part.next if part.lag else part.end, self.looks[-1].at)

    def rates(self) -> Rates:
        """Return what the last `WINDOW` seconds tell; nothing with fewer than two samples, or when they contradict."""
        if len(self.looks) < 2 or self._is_stale():
            return Rates(arrivals=None, handled=None, first=len(self.looks) == 1)
        now = self.looks[-1]
        loads = tuple(self._load(at) for at in now.sample.partitions)
        steady = (now.at - (self.steady_since or now.at)).total_seconds()
        return Rates(
            arrivals=sum(load.arrivals for load in loads),
            handled=sum(load.handled for load in loads),
            loads=loads,
            steady_seconds=steady,
            failing=_fails(self.looks[0].sample, now.sample),
            failed=any(_fails(before, after) for before, after in self._apart()),
        )

    def _apart(self) -> Iterator[tuple[Sample, Sample]]:
        """Yield each sample with the newest before it that lies so far back that a commit came between."""
        earlier, before = iter(self.looks), None
        look = next(earlier, None)
        for after in self.looks:
            while look is not None and (after.at - look.at).total_seconds() >= APART:
                before, look = look, next(earlier, None)
            if before is not None:
                yield before.sample, after.sample

    def _waited(self, sample: Sample) -> Mapping[Partition, float]:
        return {
            at: self.arrivals[at].age(_position(part), sample.at).seconds if part.workable else 0.0
            for at, part in sample.partitions.items()
        }

    def _is_stale(self) -> bool:
        """Tell whether ends are old answers: more is committed than they say, and they have not moved since."""
        before, now = self.looks[-2].sample.partitions, self.looks[-1].sample.partitions
        return any(
            part.committed is not None and part.committed > part.end and at in before and before[at].end == part.end
            for at, part in now.items()
        )

    def _load(self, at: Partition) -> Load:
        begun, now = next(look for look in self.looks if at in look.sample.partitions), self.looks[-1]
        first, last = begun.sample.partitions[at], now.sample.partitions[at]
        seconds = max(1.0, (now.at - begun.at).total_seconds())
        finished, oldest = _finished(first, last), now.waited[at]
        return Load(
            number=at[1],
            arrivals=max(0, last.end - first.end) / seconds,
            handled=finished / seconds,
            waiting=last.workable,
            waited_before=first.workable,
            oldest=oldest,
            behind=min(look.waited[at] for look in self.looks if at in look.waited) if oldest else 0.0,
            failing=last.retrying > finished,
        )


def _position(part: PartitionSeen) -> int:
    """Return where the oldest record lies that could be handled: what is done or held beyond the commit is past."""
    return part.next + part.done + part.held


def _finished(before: PartitionSeen, after: PartitionSeen) -> int:
    return max(0, after.next + after.done - before.next - before.done)


def _fails(before: Sample, after: Sample) -> bool:
    """Tell whether more keys are tried again than records were finished between two samples."""
    retrying = sum(part.retrying for part in after.partitions.values())
    if not retrying:
        return False
    both = before.partitions.keys() & after.partitions.keys()
    return retrying > sum(_finished(before.partitions[at], after.partitions[at]) for at in both)
