"""A source partition and its retry partition that come to a pod and leave it one by one, as in a group of KIP-848.

Two pods beside a model of Kafka: whatever comes first, each key is handled in its order, and nothing is left out. All
that goes on takes turns (`tests.runtime.turns`).
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest

from headrace.config import Delivery, OnDeadLetter
from headrace.flow.finished import Finished
from headrace.flow.lease import Lease
from headrace.flow.offset_map import OffsetMap
from headrace.flow.ownership import is_late
from headrace.flow.parking import Found, parked_among
from headrace.flow.partitions import Partition
from headrace.flow.policy import Failed
from headrace.flow.seen import NOTHING, Begun, Seen
from headrace.kafka.answers import Then
from headrace.kafka.consumer import CommitFailed, Committed
from headrace.kafka.messages import record_of
from headrace.kafka.read import Read
from headrace.letters.parked import Scan
from headrace.metrics import Metrics
from headrace.progress import Parker, Progress, encode
from headrace.record import Headers, Record
from headrace.worker import commits, parking, poll
from headrace.worker.dispatch import Dispatcher
from headrace.worker.poll import Poller
from tests.runtime.configs import BILLING
from tests.runtime.pausing import Client
from tests.runtime.turns import Turns

SOURCE, RETRY = ("orders", 0), (BILLING.topics.retry, 0)
OTHER = ("returns", 0)
DELIVERY = BILLING.delivery.model_copy(
    update={"retry": BILLING.delivery.retry.model_copy(update={"initial": 0.002, "max": 0.01, "max_in_memory": 0.0})}
)
CONFIG = BILLING.model_copy(update={"delivery": DELIVERY, "group_protocol": "consumer"})
PARKS = DELIVERY.model_copy(update={"on_dead_letter": OnDeadLetter(action="ParkKey")})
Parkers = Mapping[Partition, Sequence[Parker]]
KEYS = (b"a", b"b", b"bad")
MOST = 20_000
"""Turns until whatever must come has come."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs when it is told to."""
    made = asyncio.new_event_loop()
    yield made
    for task in (tasks := asyncio.all_tasks(made)):
        task.cancel()
    made.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    made.close()


class Message:
    """A record as the client gives it."""

    _about: dict[str, object]

    def __init__(self, at: Partition, offset: int, key: bytes | None, value: bytes | None, own: Headers) -> None:
        self._about = {"topic": at[0], "partition": at[1], "offset": offset, "leader_epoch": 0}
        self._about |= {"key": key, "value": value, "headers": own, "timestamp": (1, offset)}

    def __getattr__(self, name: str) -> Callable[[], object]:
        return lambda: self._about[name]


class Kafka:
    """Logs, what a group has committed, and who has which partition."""

    def __init__(self, *sources: Partition) -> None:
        self.logs: dict[Partition, list[Record]] = {one: [] for one in (*sources, RETRY)}
        self.committed: dict[Partition, Committed] = {}
        self.owners: dict[Partition, Member] = {}

    def append(self, at: Partition, key: bytes | None, value: bytes | None, own: Headers = ()) -> None:
        message: Any = Message(at, len(self.logs[at]), key, value, own)
        self.logs[at].append(record_of(message, RETRY[0], CONFIG.group))

    def counts(self) -> dict[str, int]:
        return {topic: 1 for topic, _ in self.logs}

    def scans(self, config: object, begun: Mapping[int, OffsetMap], parkers: Parkers) -> Iterator[tuple[int, Scan]]:
        log = [one for one in self.logs[RETRY] if not is_late(one, parkers.get((one.source.topic, 0), ()))]
        found: list[Found] = list(parked_among(log, "Key", begun[0]))
        yield 0, Scan(found, self.counts(), len(self.logs[RETRY]))


class Member(Client):
    """The client of a pod: what it reads amid which it is told to begin with partitions, or to leave them."""

    poller: Poller
    has_joined = True
    room = 4095

    def __init__(self, kafka: Kafka, turns: Turns) -> None:
        super().__init__()
        self._kafka = kafka
        self._turns, self._draw = turns, turns.draw
        self._positions: dict[Partition, int] = {}
        self.told: deque[tuple[str, list[Partition]]] = deque()

    def read(self, most: int, timeout: float) -> Read:
        self._turns.meanwhile()
        first = self._taken(most)
        if self.told:
            self._hear(*self.told.popleft())
        return Read([*first.records, *(more := self._taken(most)).records], [*first.ends, *more.ends], [])

    def _hear(self, what: str, partitions: list[Partition]) -> None:
        if what == "assign":
            self._kafka.owners.update(dict.fromkeys(partitions, self))
            found = {one: self._kafka.committed.get(one) for one in partitions}
            self._positions |= {one: at.offset if at else 0 for one, at in found.items()}
            self.paused -= {*partitions}
            self.poller._on_assigned(found)
            return
        self.poller._on_revoked(partitions, False)
        self._turns.meanwhile()
        for one in partitions:
            del self._positions[one], self._kafka.owners[one]

    def _taken(self, most: int) -> Read:
        records, ends = list[Record](), list[tuple[Partition, int]]()
        for one, at in self._positions.items():
            if most and one not in self.paused:
                found = self._kafka.logs[one][at : at + self._draw.randint(0, 3)]
                records += found
                self._positions[one] = at + len(found)
                if self._positions[one] == len(self._kafka.logs[one]):
                    ends.append((one, self._positions[one]))
        return Read(records, ends, [])

    def commit(self, offsets: Iterable[tuple[Partition, int, str]], then: Then | None = None) -> None:
        self._turns.meanwhile()
        for one, offset, text in offsets:
            if self._kafka.owners.get(one) is not self:
                raise CommitFailed("not yours")
            self._kafka.committed[one] = Committed(offset, text)
        if then is not None:
            then(True)

    def go_on(
        self, positions: Mapping[Partition, int | None], elsewhere: Collection[Partition], again: Collection[Partition]
    ) -> None:
        self._positions |= {one: positions[one] or 0 for one in (*elsewhere, *again)}

    def read_again(self, partition: Partition, offset: int) -> bool:
        self._positions[partition] = offset
        return True

    def counts(self) -> dict[str, int]:
        return self._kafka.counts()

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {one: len(self._kafka.logs[one]) for one in partitions}


class Writer:
    """Writes into the retry topic; what is under way cannot be had back."""

    refusal = None

    def __init__(self, kafka: Kafka, draw: random.Random, written: Callable[[Finished], None], slow: float) -> None:
        self._kafka, self._draw, self._written, self._slow = kafka, draw, written, slow
        self._drafts: deque[Finished] = deque()
        self._sent: deque[Finished] = deque()

    @property
    def outstanding(self) -> int:
        return len(self._drafts) + len(self._sent)

    def write(self, record: Finished) -> None:
        self._drafts.append(record)

    def look_anew(self) -> None:
        pass

    def serve(self) -> None:
        while self._drafts:
            draft = self._drafts.popleft()
            if not draft.assignment.given_away:
                self._sent.append(draft)
        while self._sent and self._draw.random() >= self._slow:
            done = self._sent.popleft()
            self._kafka.append(RETRY, done.record.key, done.record.value, done.letter or ())
            self._written(done)


class Pod:
    """One process: its poll thread takes a turn when it is told to."""

    def __init__(self, world: World, number: int) -> None:
        metrics, lease = Metrics(CONFIG), Lease(600, world.turns.now())
        self.member = Member(world.kafka, world.turns)
        self.is_at_it = False
        world.patches.setattr(poll, "Source", lambda config: self.member)
        world.patches.setattr(
            parking, "Parked", lambda config, written: Writer(world.kafka, world.draw, written, world.slow)
        )
        self.dispatcher = Dispatcher(world.config, world.handle, metrics, lease)
        self.poller = Poller(world.config, self.dispatcher, world.loop, metrics, lease, f"billing-{number}")
        self.member.poller = self.poller
        self.runners = asyncio.run_coroutine_threadsafe(self.dispatcher.run(), world.loop)

    def turn(self) -> None:
        """Take a turn, unless it is amid one."""
        if not self.is_at_it:
            self.is_at_it = True
            self.poller._turn()
            self.is_at_it = False

    def owns(self, partition: Partition) -> bool:
        return self.poller._ledger.find(*partition) is not None


class World:
    """Two pods, and what was handled."""

    def __init__(
        self,
        patches: pytest.MonkeyPatch,
        loop: asyncio.AbstractEventLoop,
        *,
        seed: int = 0,
        slow: float = 0.0,
        sources: Sequence[Partition] = (SOURCE,),
        delivery: Delivery = DELIVERY,
    ) -> None:
        topics = CONFIG.topics.model_copy(update={"sources": tuple(topic for topic, _ in sources)})
        self.config = CONFIG.model_copy(update={"topics": topics, "delivery": delivery})
        self.patches, self.loop, self.slow = patches, loop, slow
        self.turns = Turns(patches, loop, seed)
        self.draw, self.turns.beside = self.turns.draw, self.turn
        self.kafka = Kafka(*sources)
        self.effects: list[tuple[bytes | None, int]] = []
        self.written: defaultdict[bytes, int] = defaultdict(int)
        patches.setattr(parking, "scans", self.kafka.scans)
        patches.setattr(commits, "EVERY", 0.0)
        patches.setattr(poll, "REVOKE_BUDGET", 0.05 if slow else 10.0)
        self.pods = [Pod(self, number) for number in range(2)]

    async def handle(self, record: Record) -> Failed | None:
        number = int(record.value or b"")
        await asyncio.sleep(self.draw.choice((0, 0, 0.001)))
        if record.key == b"bad" and record.attempt < 3:
            return Failed(message="busy", exception="503", status=503, retriable=True)
        self.effects.append((record.key, number))
        return None

    def produce(self) -> None:
        key = self.draw.choice(KEYS)
        self.kafka.append(SOURCE, key, str(self.written[key]).encode())
        self.written[key] += 1

    def turn(self, count: int = 1) -> None:
        """Let one of the pods take a turn, that often."""
        for _ in range(count):
            self.draw.choice(self.pods).turn()
            self.turns.meanwhile()

    def move(self) -> None:
        """Let some of what a pod has go, or what nobody has come to one of them."""
        giver = self.draw.choice(self.pods)
        if any(pod.member.told for pod in self.pods):
            return
        some = [one for one in self.kafka.logs if self.draw.random() < 0.6]
        if coming := [one for one in some if one not in self.kafka.owners]:
            giver.member.told.append(("assign", coming))
        elif leaving := [one for one in some if giver.owns(one)]:
            giver.member.told.append(("revoke", leaving))

    def turn_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Let them take turns until it holds."""
        for _ in range(MOST):
            if holds():
                return
            self.turn()
        raise AssertionError(f"{MOST} turns in vain for {what}")

    def see_it_end(self) -> None:
        """Give all to one pod, and let it go on until all is done."""
        one, other = self.pods
        self.turn_until("no move", lambda: not (one.member.told or other.member.told))
        other.member.told.append(("revoke", [at for at in self.kafka.logs if other.owns(at)]))
        self.turn_until("all to be free", lambda: not other.member.told)
        one.member.told.append(("assign", [at for at in self.kafka.logs if at not in self.kafka.owners]))
        self.turn_until("all to be done", self.is_done)

    def is_done(self) -> bool:
        ends = {one: len(log) for one, log in self.kafka.logs.items() if log}
        offsets = {one: at.offset for one, at in self.kafka.committed.items() if at.offset}
        return offsets == ends and not self.pods[0].dispatcher.keys.parked

    def numbers(self, key: bytes) -> list[int]:
        return [number for one, number in self.effects if one == key]


@pytest.mark.parametrize("slow", [0.0, 0.7], ids=["quick", "slow"])
@pytest.mark.parametrize("seed", range(14))
def test_keys_keep_their_order_while_partitions_come_and_go_one_by_one(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, seed: int, slow: float
) -> None:
    """Where Kafka is slow, what is on the way to the retry topic comes there behind the next owner's look."""
    world = World(monkeypatch, loop, seed=seed, slow=slow)
    may = [world.produce] * 4 + [world.turn] * 12 + [world.move] * 4
    for _ in range(600):
        world.draw.choice(may)()
    world.see_it_end()
    assert sum(one.parked for one in world.kafka.logs[RETRY]) > 10
    for key in KEYS:
        found = world.numbers(key)
        assert list(dict.fromkeys(found)) == list(range(world.written[key])), key
        assert slow or len(found) == world.written[key], key


@pytest.mark.parametrize("order", [*permutations((SOURCE, OTHER, RETRY))])
def test_keys_may_be_parked_and_wait_once_all_of_a_number_has_come(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, order: Sequence[Partition]
) -> None:
    """What waits is looked for in all sources of the number; until they are here nothing is read of it."""
    looked_at: list[set[Partition]] = []

    def scanned(
        config: object, begun: Mapping[int, Sequence[Begun]], scans: Iterable[tuple[int, Scan]]
    ) -> Iterator[tuple[int, Scan, Seen, Mapping[int, int]]]:
        looked_at.append({one.name for one in begun[0]})
        yield from ((number, found, NOTHING, {}) for number, found in scans)

    monkeypatch.setattr(parking, "scanned", scanned)
    world = World(monkeypatch, loop, sources=(SOURCE, OTHER), delivery=PARKS)
    pod = world.pods[0]
    for count, one in enumerate(order, 1):
        pod.member.told.append(("assign", [one]))
        pod.poller._turn()
        world.turn_until("what is known", lambda: not pod.poller._parking._unknown)
        may = [at for at in (SOURCE, OTHER) if (found := pod.poller._ledger.find(*at)) is not None and found.parks]
        if count < len(order):
            assert RETRY in pod.member.paused or not pod.owns(RETRY)
    assert looked_at[-1] == {SOURCE, OTHER}
    assert may == [SOURCE, OTHER]
    assert not pod.member.paused


def test_what_may_have_ended_its_process_is_suspect_still_when_its_retry_partition_comes_later(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    world = World(monkeypatch, loop)
    world.kafka.committed[SOURCE] = Committed(0, encode(Progress(running=True)))
    pod = world.pods[0]
    for one in (SOURCE, RETRY):
        pod.member.told.append(("assign", [one]))
        pod.poller._turn()
    source = pod.poller._ledger.find(*SOURCE)
    assert source is not None
    assert source.suspects > 0
