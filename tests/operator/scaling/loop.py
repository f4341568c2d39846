"""A consumer group in a closed loop with the autoscaler: records, hands, commits, rebalances, pods that take time.

Pure and seeded: seconds are numbers, and what the operator would see goes through its own history and its own law. A
record is at work in one hand of one replica; a group that changes stands still for a moment, and does again what was
finished beyond a commit.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from headrace_operator.observed.kafka import Partition, PartitionSeen
from headrace_operator.reconcile.backlog import History, Sample
from headrace_operator.scaling.decide import decide
from headrace_operator.scaling.terms import Decision, Limits, Measured, Memory
from tests.operator.worlds import NOW

STEP = 0.5
BUFFER = 5_000
PAUSE = 3.0
"""Seconds for which a group stands still that changes."""

Fails = Callable[[int, float], bool]
"""Whether a record of this key fails at this time."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What comes: records a second at each second, seconds of a hand for each, how many keys, and which fail."""

    rate: Callable[[float], float]
    cost: Callable[[float], float]
    keys: int = 5_000
    fails: Fails = lambda key, now: False
    spread: Callable[[int, int], int] = lambda key, partitions: key % partitions


@dataclass
class Log:
    """One partition: the keys of its records, which began, which are done, what is committed and told of it."""

    keys: list[int] = field(default_factory=list)
    begun: int = 0
    next: int = 0
    done: set[int] = field(default_factory=set)
    held: dict[int, deque[int]] = field(default_factory=dict)
    committed: int = 0
    told: tuple[int, int, int] = (0, 0, 0)

    def finish(self, offset: int) -> None:
        self.done.add(offset)
        while self.next in self.done:
            self.done.remove(self.next)
            self.next += 1

    def commit(self, tells: bool) -> None:
        self.committed = self.next
        held = sum(len(waiting) for waiting in self.held.values())
        self.told = (len(self.done), len(self.held), held) if tells else (0, 0, 0)

    def restart(self) -> None:
        """Begin again behind the commit, as the next owner does."""
        self.begun = self.next = self.committed
        self.done.clear()
        self.held.clear()
        self.told = (0, 0, 0)


@dataclass
class Group:
    """The replicas that are ready, with so many hands each, and the partitions they share."""

    work: Work
    partitions: int
    hands: int
    seed: int
    commit_every: float = 1.0
    tells: bool = True
    replicas: int = 0
    now: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.logs = [Log() for _ in range(self.partitions)]
        self.free: list[list[float]] = []
        self.running: list[tuple[float, int, int]] = []
        self.handled = 0
        self._due = 0.0

    def resize(self, replicas: int) -> None:
        self.replicas = replicas
        self.free = [[self.now + PAUSE] * self.hands for _ in range(replicas)]
        self.running = []
        for log in self.logs:
            log.commit(self.tells)
            log.restart()

    def step(self) -> None:
        self.now += STEP
        self._arrive()
        for replica in range(self.replicas):
            self._handle(replica)
        self._finish()
        if self.now % self.commit_every < STEP:
            for log in self.logs:
                log.commit(self.tells)

    def _arrive(self) -> None:
        self._due += self.work.rate(self.now) * STEP
        for _ in range(int(self._due)):
            key = self.random.randrange(self.work.keys)
            self.logs[self.work.spread(key, self.partitions)].keys.append(key)
        self._due -= int(self._due)

    def _handle(self, replica: int) -> None:
        numbers = range(replica, self.partitions, self.replicas)
        mine = [self.logs[number] for number in numbers]
        self._wake(mine)
        room = BUFFER - sum(sum(map(len, log.held.values())) for log in mine)
        free = self.free[replica]
        turn, left = 0, sum(len(log.keys) - log.begun for log in mine)
        while room > 0 and free[0] <= self.now and left:
            number, log = numbers[turn % len(mine)], mine[turn % len(mine)]
            turn += 1
            if log.begun == len(log.keys):
                continue
            offset, log.begun, left = log.begun, log.begun + 1, left - 1
            key = log.keys[offset]
            if key in log.held or self.work.fails(key, self.now):
                log.held.setdefault(key, deque()).append(offset)
                room -= 1
                continue
            cost = self.work.cost(self.now) * self.random.uniform(0.8, 1.2)
            end = max(heapq.heappop(free), self.now - STEP) + cost
            heapq.heappush(free, end)
            heapq.heappush(self.running, (end, number, offset))

    def _wake(self, logs: list[Log]) -> None:
        """Take up the records of keys that fail no more; they are few, and take no time."""
        for log in logs:
            for key in [key for key in log.held if not self.work.fails(key, self.now)]:
                for offset in log.held.pop(key):
                    log.finish(offset)

    def _finish(self) -> None:
        while self.running and self.running[0][0] <= self.now:
            _, number, offset = heapq.heappop(self.running)
            self.logs[number].finish(offset)
            self.handled += 1

    def seen(self) -> dict[Partition, PartitionSeen]:
        """Return what the operator would see."""
        return {("orders", number): _seen(number, log) for number, log in enumerate(self.logs)}


def _seen(number: int, log: Log) -> PartitionSeen:
    done, retrying, held = log.told
    return PartitionSeen(
        topic="orders",
        partition=number,
        start=0,
        end=len(log.keys),
        committed=log.committed,
        done=done,
        retrying=retrying,
        held=held,
        lag_seconds=None,
    )


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One look: the second, the replicas that are ready, the decision, and the age of the oldest undone record."""

    at: float
    ready: int
    decision: Decision
    waits: float


def turns(
    group: Group, limits: Limits, seconds: float, blind: Callable[[float], bool] = lambda now: False
) -> list[Turn]:
    """Run the loop; while it is ``blind``, the operator sees nothing."""
    return list(_turns(group, limits, seconds, blind))


def _turns(group: Group, limits: Limits, seconds: float, blind: Callable[[float], bool]) -> Iterator[Turn]:
    history, memory = History(), Memory()
    group.resize(limits.min)
    look, starting = 0.0, [(0.0, limits.min)]
    while group.now < seconds:
        group.step()
        while starting and starting[0][0] <= group.now:
            group.resize(starting.pop(0)[1])
        if group.now < look:
            continue
        look = group.now + group.random.uniform(4, 6)
        now = NOW + timedelta(seconds=group.now)
        if not blind(group.now):
            history.add(Sample(at=now, partitions=group.seen(), ready=group.replicas))
        unseen = blind(group.now) or not history.looks
        measured = Measured(rates=History().rates() if unseen else history.rates(), ready=group.replicas)
        decision = decide(measured, memory, limits, now)
        changed = decision.desired != (memory.desired or 0)
        memory = Memory(
            desired=decision.desired,
            previous=memory.desired if changed else memory.previous,
            since=now if changed else memory.since,
            capacity=None if decision.capacity is None else round(decision.capacity, 3),
            measured_at=decision.measured_at,
            fewer_since=decision.fewer_since,
        )
        if changed and decision.desired != group.replicas:
            wait = group.random.uniform(5, 20) if decision.desired > group.replicas else 1.0
            starting = [(group.now + wait, decision.desired)]
        waits = max((age.seconds for at in group.seen() if (age := history.age(at))), default=0.0)
        yield Turn(at=group.now, ready=group.replicas, decision=decision, waits=waits)
