"""Keys that wait behind dead letters, beside a model of Kafka's topics: each is handled once, in order, all go on."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from headrace import headers
from headrace.failure import Reason
from headrace.flow import sequences as flow
from headrace.flow import waiting
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.lease import Lease
from headrace.flow.ledger import Ledger
from headrace.flow.parking import Mark
from headrace.flow.policy import Failed
from headrace.flow.sequences import Seen
from headrace.flow.waiting import Follower, Listed
from headrace.kafka.producer import Written
from headrace.letters.reading import Place
from headrace.letters.sequences import Outcome, Task
from headrace.metrics import Metrics
from headrace.record import Headers, Position, Record
from headrace.worker import burials, sequences
from headrace.worker.keys import Keys
from headrace.worker.parking import Learnt
from tests.runtime.configs import BILLING

SOURCE, RETRY = "orders", BILLING.topics.retry
PARKS = BILLING.model_copy(
    update={
        "delivery": BILLING.delivery.model_copy(
            update={"on_dead_letter": BILLING.delivery.on_dead_letter.model_copy(update={"action": "ParkKey"})}
        )
    }
)
FAILED = Failed(message="no", exception="E", retriable=False)


class Letter(NamedTuple):
    record: Record
    said: Headers

    @property
    def follows(self) -> bool:
        return headers.decode(self.said).follows

    @property
    def lane(self) -> Lane:
        return (SOURCE, 0, self.record.key)

    @property
    def offset(self) -> int:
        return self.record.source.offset


class Pod:
    """One pod with one partition: its two threads, and a third that reads and moves, each going on when it may."""

    def __init__(self, patches: pytest.MonkeyPatch, seed: int) -> None:
        self.draw = random.Random(seed)
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.threads: deque[Callable[[], object]] = deque()
        self.finished: deque[Finished] = deque()
        self.ledger, self.lanes = Ledger(), Lanes()
        metrics = Metrics(PARKS)
        self.keys = Keys(PARKS, self.lanes, metrics, self.finished, changed=lambda: None, is_away=lambda: False)
        self.source, self.retry = self.ledger.assign(SOURCE, 0, 0), self.ledger.assign(RETRY, 0, 0)
        self.loop = SimpleNamespace(call_soon_threadsafe=lambda call, *args: self.calls.append((call, args)))
        self.dead: list[Letter | None] = [None]
        self.resolved: set[int] = {0}
        self.put_back: list[Record] = []
        self.under_way: list[Finished] = []
        self.bad: set[int] = set()
        self.given_up: set[int] = set()
        self.arrived, self.now = 0, 0.0
        self.effects: list[tuple[bytes | None, int]] = []
        patches.setattr(sequences, "work", self.work)
        patches.setattr(sequences, "MOST", 3)
        patches.setattr(sequences, "Reader", lambda *about, **more: nullcontext())
        patches.setattr("headrace.worker.beside.threading.Thread", self.thread)
        dispatcher: Any = SimpleNamespace(keys=self.keys)
        loop: Any = self.loop
        self.sequences = sequences.Sequences(PARKS, self.ledger, dispatcher, loop, Lease(1.0, 0.0))
        seen = Seen(frozenset({self.source.name}), 1, {}, frozenset())
        self.keys.followers.begin(0, seen)
        about: Any = (self.retry, None, seen, {})
        self.sequences.serve(deque([Learnt(*about)]), self.now)

    def thread(self, target: Callable[..., object], args: tuple[Any, ...], **more: object) -> object:
        return SimpleNamespace(start=lambda: self.threads.append(lambda: target(*args)))

    def go_on(self, steps: int, *, arrivals: int) -> None:
        """Let one of them do something, again and again; records arrive that often, of ten times."""
        may = [self.arrive] * arrivals + [self.read, self.hear, self.hear, self.run, self.run, self.settle]
        may += [self.acknowledge] * 2 + [self.serve, self.end_thread, self.resolve]
        for _ in range(steps):
            self.draw.choice(may)()

    def see_it_end(self) -> None:
        """In the end all but what was discarded is handled, once and in order, and the keys are live."""
        for _ in range(100):
            self.go_on(100, arrivals=0)
            if not (self.heads() or self.source.unfinished or self.retry.unfinished or self.waits()):
                break
        self.go_on(100, arrivals=0)
        for key in (b"a", b"b"):
            numbers = [n for n in range(self.arrived) if key_of(n) == key and n not in self.given_up]
            assert [n for one, n in self.effects if one == key] == numbers
        assert not self.waits()
        told = self.source.sequences
        assert told is not None
        assert told.keys == 0
        assert not self.source.unfinished

    def waits(self) -> bool:
        return any(self.keys.followers.waits((SOURCE, 0, key)) for key in (b"a", b"b"))

    def arrive(self) -> None:
        """The poll thread reads a record of the source."""
        number, self.arrived = self.arrived, self.arrived + 1
        if self.draw.random() < 0.15:
            self.bad.add(number)
        record = Record(topic=SOURCE, partition=0, offset=number, key=key_of(number), value=b"", timestamp=number)
        self.accept(Job(self.source, record))

    def read(self) -> None:
        """It reads records of the retry topic."""
        for _ in range(self.draw.randint(1, 3)):
            if self.retry.position < len(self.put_back):
                self.accept(Job(self.retry, self.put_back[self.retry.position]))

    def accept(self, job: Job) -> None:
        assert self.ledger.deliver(job.assignment, job.record.offset, 1)
        self.calls.append((self.sort, (job,)))

    def sort(self, job: Job) -> None:
        for one in self.keys.sort([job]):
            self.lanes.add(one)
        for done in self.keys.take_done():
            self.finished.append(done)

    def hear(self) -> None:
        """The event loop's thread does what it was asked."""
        for _ in range(self.draw.randint(1, 5)):
            if self.calls:
                call, args = self.calls.popleft()
                call(*args)

    def run(self) -> None:
        """It handles a record."""
        job = self.lanes.take()
        if job is None:
            return
        number = job.record.source.offset
        is_bad, lane = number in self.bad, job.lane
        self.lanes.finish(job)
        self.keys.finish(job)
        if is_bad:
            letter = burials.letter(job, FAILED, Reason.NON_RETRIABLE, group="g", now=1.0, parks_key=True)
            self.finished.append(Finished(job.assignment, job.record, letter, "non-retriable", lane))
            self.keys.followers.hold(lane)
        else:
            self.effects.append((job.record.key, number))
            self.finished.append(Finished(job.assignment, job.record, None, None))

    def settle(self) -> None:
        """The poll thread takes what is finished."""
        while self.finished:
            item = self.finished.popleft()
            if item.letter is None:
                assert self.ledger.complete(item.assignment, item.record.offset)
            else:
                self.sequences.send(item)
                self.under_way.append(item)

    def acknowledge(self) -> None:
        """Kafka has a letter; not always in the order in which they were sent, as some are sent again."""
        if not self.under_way:
            return
        item = self.under_way.pop(0 if self.draw.random() < 0.8 else self.draw.randrange(len(self.under_way)))
        self.dead.append(Letter(item.record, item.letter or ()))
        self.sequences.wrote(item, Written(0, len(self.dead) - 1))
        assert self.ledger.complete(item.assignment, item.record.offset)

    def serve(self) -> None:
        self.settle()
        self.now += 6.0
        self.sequences.serve(deque(), self.now)

    def end_thread(self) -> None:
        while self.threads:
            self.threads.popleft()()

    def heads(self) -> list[int]:
        return [n for n, one in enumerate(self.dead) if n not in self.resolved and one is not None and not one.follows]

    def resolve(self) -> None:
        """Somebody discards a head, or puts it back, having mended what made it fail, or not."""
        place = self.draw.choice(self.heads() or [0])
        letter = self.dead[place]
        if letter is None or self.draw.random() < 0.5:
            return
        if self.draw.random() < 0.4:
            self.given_up.add(letter.offset)
            self.resolved.add(place)
            return
        if self.draw.random() < 0.7:
            self.bad.discard(letter.offset)
        self.back(place)

    def back(self, place: int) -> None:
        letter = self.dead[place]
        assert letter is not None
        assert place not in self.resolved
        self.resolved.add(place)
        own = headers.for_redrive(letter.said, redrive_id="r", now=1.0)
        key, origin = letter.record.key, Position(SOURCE, 0, letter.offset)
        about = {"topic": RETRY, "partition": 0, "offset": len(self.put_back), "key": key, "value": b"", "headers": own}
        self.put_back.append(Record(**about, timestamp=1, origin=origin))  # type: ignore[arg-type]

    def work(
        self,
        reader: object,
        config: object,
        tasks: Collection[Task],
        heads: Collection[Place],
        since: Mapping[int, int],
    ) -> Outcome:
        """What `headrace.letters.sequences.work` does on Kafka."""
        listed: dict[Lane, tuple[waiting.Wish, Listed]] = {}
        for task in tasks:
            listed |= {lane: (wish, self.listed(lane, wish.start)) for lane, wish in task.unknown.items()}
            for chunk in task.free.values():
                for one in chunk.followers:
                    self.back(one.letter)
        gone = [place for place in heads if place.offset in self.resolved]
        moved = {lane: chunk for task in tasks for lane, chunk in task.free.items()}
        return Outcome({}, gone, listed, moved, {0: len(self.put_back)})

    def listed(self, lane: Lane, start: int) -> Listed:
        there = [
            (place, one)
            for place, one in enumerate(self.dead)
            if place >= start and place not in self.resolved and one is not None and one.lane == lane
        ]
        found = [Follower(Mark(one.offset, one.offset), place) for place, one in there if one.follows]
        return Listed(frozenset(place for place, one in there if not one.follows), sorted(found), len(self.dead))


def key_of(number: int) -> bytes:
    return b"b" if number % 4 == 3 else b"a"


def lived(patches: pytest.MonkeyPatch, seed: int) -> None:
    """Let a pod live, and see that it ends well."""
    pod = Pod(patches, seed)
    pod.go_on(600, arrivals=3)
    pod.see_it_end()


def all_lived(patches: pytest.MonkeyPatch, seeds: Iterable[int]) -> None:
    for seed in seeds:
        lived(patches, seed)


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_each_is_handled_once_in_its_order(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    all_lived(monkeypatch, range(start, start + 10))


def releases_at_once(patches: pytest.MonkeyPatch) -> None:
    """A key is live again though more letters of it are on their way."""
    release = flow.Sequences.release
    patches.setattr(flow.Sequences, "release", lambda self, lane, _: release(self, lane, self.written(lane).letters))


def runs_behind_a_head(patches: pytest.MonkeyPatch) -> None:
    """What was moved back runs on though one before it failed."""
    follows = flow.Sequences.follows

    def runs(self: flow.Sequences, lane: Lane, record: Record) -> bool:
        return record.origin is None and follows(self, lane, record)

    patches.setattr(flow.Sequences, "follows", runs)


def moves_over_what_is_under_way(patches: pytest.MonkeyPatch) -> None:
    """What lies in the topic is moved though a letter before it is on its way."""
    key_list = waiting.Key.list
    patches.setattr(waiting.Key, "list", lambda self, wish, *more: key_list(self, wish._replace(until=None), *more))


def does_not_wait_for_what_was_put_back(patches: pytest.MonkeyPatch) -> None:
    """A key goes on though what was put back of it is not read."""
    patches.setattr(sequences.Sequences, "_is_settled", lambda self, lane, key: not key.heads)


@pytest.mark.parametrize(
    "mutant",
    [releases_at_once, runs_behind_a_head, moves_over_what_is_under_way, does_not_wait_for_what_was_put_back],
)
def test_the_model_finds_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        all_lived(monkeypatch, range(400))
