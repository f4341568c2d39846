"""Keys that wait behind dead letters, beside a model of Kafka's topics: each is handled once, in order, all go on."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from headrace import headers
from headrace.failure import Reason
from headrace.flow import seen as flow
from headrace.flow import waiting
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job, Lane, Lanes
from headrace.flow.lease import Lease
from headrace.flow.ledger import Ledger
from headrace.flow.offset_map import OffsetMap
from headrace.flow.ownership import Owners, followed, told
from headrace.flow.policy import Failed
from headrace.flow.seen import Seen
from headrace.flow.sequences import Sequences
from headrace.flow.waiting import Follower, Listed
from headrace.kafka.producer import Written
from headrace.letters.late import Look
from headrace.letters.reading import Place
from headrace.letters.sequences import Outcome, Task
from headrace.metrics import Metrics
from headrace.progress import Parker
from headrace.record import Headers, Position, Record
from headrace.worker import burials, sequences
from headrace.worker.keys import Keys
from headrace.worker.parking import Learnt
from tests.runtime import history as history_of
from tests.runtime.configs import BILLING
from tests.runtime.history import Effect, History, violations

SOURCE, RETRY = "orders", BILLING.topics.retry
PARKS = BILLING.model_copy(
    update={
        "delivery": BILLING.delivery.model_copy(
            update={"on_dead_letter": BILLING.delivery.on_dead_letter.model_copy(update={"action": "ParkKey"})}
        )
    }
)
ROUNDS = 1000
IS_LATE = Owners.is_late
FAILED = Failed(message="no", exception="E", retriable=False)


class Letter(NamedTuple):
    record: Record
    said: Headers
    follows: bool
    delivery: flow.Known
    by: str

    @property
    def offset(self) -> int:
        return self.record.source.offset


def written(item: Finished) -> Letter:
    """Return a letter as it lies in the dead-letter topic."""
    said = headers.decode(item.letter or ())
    delivery = flow.known((SOURCE, 0, item.record.key), said)
    assert delivery is not None
    return Letter(item.record, item.letter or (), said.follows, delivery, said.parks_key or "")


class Committed(NamedTuple):
    """What a pod told of its two partitions: also from which letter on keys may wait, and who had them."""

    source: OffsetMap = OffsetMap(at=0)
    retry: OffsetMap = OffsetMap(at=0)
    start: int = 0
    source_parkers: tuple[Parker, ...] | None = None
    retry_parkers: tuple[Parker, ...] | None = None

    @property
    def owners(self) -> Owners:
        return told(self.source_parkers, self.retry_parkers)


class Topics:
    """What outlasts pods; ``bad`` is the share of what is produced that fails.

    Offset 0 of the dead letters is nobody's; what who died put back may be aborted. Of its letters some are to ``come``
    late, and people touch none that the present ``owners`` are about to pass over.
    """

    def __init__(self, draw: random.Random, bad: float = 0.15) -> None:
        self.draw, self.fate = draw, random.Random(0)
        self.share_of_bad = bad
        self.produced = 0
        self.dead: list[Letter | None] = [None]
        self.resolved: set[int] = {0}
        self.put_back: list[tuple[Record, bool]] = []
        self.bad: set[int] = set()
        self.given_up: list[int] = []
        self.effects: list[Effect] = []
        self.committed = Committed()
        self.coming: list[Letter] = []
        self.passed: set[int] = set()
        self.owners = Owners()

    def letter_comes(self) -> None:
        """One comes late of who was left behind."""
        if self.coming and self.fate.random() < 0.3:
            self.dead.append(self.coming.pop(0))

    def strays(self) -> list[int]:
        """Return what came late and has no resolution."""
        return [one.offset for one in self.letters() if one.offset not in self.resolved and self.is_stray(one)]

    def is_stray(self, letter: flow.Letter) -> bool:
        return IS_LATE(self.owners, letter.offset, letter.by)

    def produce(self) -> None:
        if self.draw.random() < self.share_of_bad:
            self.bad.add(self.produced)
        self.produced += 1

    def heads(self) -> list[int]:
        there = (one for one in self.letters() if one.offset not in self.resolved and not one.follows)
        return [one.offset for one in there if not self.is_stray(one)]

    def resolve(self) -> None:
        """Somebody discards a head, or puts it back, having mended what made it fail, or not.

        Nobody puts back what is not committed yet, as that takes a second: what came before it might come again after
        it.
        """
        place = self.draw.choice(self.heads() or [0])
        letter = self.dead[place]
        if letter is None or self.draw.random() < 0.5:
            return
        if self.draw.random() < 0.4:
            self.given_up.append(letter.offset)
            self.resolved.add(place)
            return
        told = self.committed.source
        if letter.offset >= told.at and not told.has_done(letter.offset):
            return
        if self.draw.random() < 0.7:
            self.bad.discard(letter.offset)
        self.back(place)

    def back(self, place: int, *, aborted: bool = False) -> None:
        """Put a letter back; nothing becomes of it if that is ``aborted``, but that it takes an offset."""
        letter, offset = self.dead[place], len(self.put_back)
        assert letter is not None
        own = headers.for_redrive(letter.said, redrive_id=f"r{offset}", now=1.0)
        about = {"topic": RETRY, "partition": 0, "offset": offset, "key": letter.record.key, "headers": own}
        origin = Position(SOURCE, 0, letter.offset)
        self.put_back.append((Record(**about, value=b"", timestamp=1, origin=origin), aborted))  # type: ignore[arg-type]
        if not aborted:
            assert place not in self.resolved
            self.resolved.add(place)

    def letters(self) -> Iterator[flow.Letter]:
        """Return the dead letters as an heir reads them."""
        dead = ((place, one) for place, one in enumerate(self.dead) if one is not None and place not in self.passed)
        return (flow.Letter(place, one.delivery, one.follows, one.by) for place, one in dead)

    def history(self, killed: Mapping[str, float]) -> History:
        """Return what became of all that was produced."""
        return History(
            produced={number: str(key_of(number)) for number in range(self.produced)},
            effects=self.effects,
            letters=[history_of.Letter(number, "non-retriable") for number in self.given_up],
            discarded=frozenset(self.given_up),
            killed=killed,
        )

    def seen(self) -> Seen:
        """Return what an heir sees of them, also of what is aborted."""
        told, ends = self.committed, (len(self.dead), len(self.put_back))
        begun = {(SOURCE, 0): flow.Begun((SOURCE, 0), told.start, told.source, told.owners)}
        pending = list(flow.pending_among((one for one, _ in self.put_back), "Key", told.retry))
        return flow.seen(self.letters(), pending, begun, resolved=self.resolved, ends=ends)


class Pod:
    """One pod with one partition: its two threads, and a third that reads and moves, each going on when it may."""

    def __init__(self, patches: pytest.MonkeyPatch, topics: Topics, name: str = "only") -> None:
        self.topics, self.draw, self.name = topics, topics.draw, name
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.threads: deque[Callable[[], object]] = deque()
        self.finished: deque[Finished] = deque()
        self.ledger, self.lanes = Ledger(), Lanes()
        metrics = Metrics(PARKS)
        self.keys = Keys(PARKS, self.lanes, metrics, self.finished, changed=lambda: None, is_away=lambda: False)
        told = topics.committed
        self.source = self.ledger.assign(SOURCE, 0, told.source.at, told.source)
        self.retry = self.ledger.assign(RETRY, 0, told.retry.at, told.retry)
        self.loop = SimpleNamespace(call_soon_threadsafe=lambda call, *args: self.calls.append((call, args)))
        self.under_way: list[Finished] = []
        self.is_dying, self.now = False, 0.0
        patches.setattr(sequences, "work", self.work)
        patches.setattr(sequences, "pass_over", self.pass_over)
        patches.setattr(sequences, "MOST", 3)
        patches.setattr(sequences, "LATE_EVERY", topics.fate.choice((0.0, 600.0)))
        patches.setattr(sequences, "Reader", lambda *about, **more: nullcontext())
        patches.setattr("headrace.worker.beside.threading.Thread", self.thread)
        dispatcher: Any = SimpleNamespace(keys=self.keys)
        loop: Any = self.loop
        self.dispatcher = dispatcher
        self.sequences = sequences.Sequences(PARKS, self.ledger, dispatcher, loop, Lease(1.0, 0.0))
        self.begin(patches)

    def begin(self, patches: pytest.MonkeyPatch) -> None:
        """Learn what waits."""
        seen, told = self.topics.seen(), self.topics.committed
        own = Parker(len(self.topics.put_back), self.name, seen.end)
        self.keys.begin(0, (), own, {})
        self.keys.followers.begin(0, seen)
        self.source.parkers = followed(told.source_parkers or (), own, told.retry.at, told.start)
        self.retry.parkers = followed(told.retry_parkers or (), own, told.retry.at)
        self.topics.owners = told.owners._replace(own=own)
        about: Any = (self.retry, None, seen, {})
        self.sequences.serve(deque([Learnt(*about)]), self.now)

    def thread(self, target: Callable[..., object], args: tuple[Any, ...], **more: object) -> object:
        return SimpleNamespace(start=lambda: self.threads.append(lambda: target(*args)))

    def go_on(self, steps: int, *, arrivals: int) -> None:
        """Let one of them do something, again and again; records are produced that often, of ten times."""
        may = [self.topics.produce] * arrivals + [self.arrive] * 3 + [self.read, self.hear, self.hear, self.run]
        may += [self.run, self.settle, *[self.acknowledge] * 2, self.serve, self.end_thread, self.topics.resolve]
        may += [self.commit, self.topics.letter_comes]
        for _ in range(steps):
            self.draw.choice(may)()

    def see_it_end(self) -> None:
        """In the end all but what was discarded is handled, in order, and the keys are live."""
        for _ in range(ROUNDS):
            self.go_on(100, arrivals=0)
            if not (self.topics.heads() or self.topics.strays() or self.is_behind() or self.waits()):
                break
        self.go_on(100, arrivals=0)
        assert not self.waits()
        told = self.source.sequences
        assert told is not None
        assert told.keys == 0
        assert not self.is_behind()
        assert not self.topics.strays()

    def is_behind(self) -> bool:
        is_read = self.source.position == self.topics.produced and self.retry.position == len(self.topics.put_back)
        return bool(not is_read or self.source.unfinished or self.retry.unfinished or self.topics.coming)

    def waits(self) -> bool:
        return len(self.keys.followers) > 0

    def die(self) -> None:
        """It is killed, or left behind: of the letters under way some are written, and some of what it moves back."""
        self.is_dying = True
        self.leave_letters()
        if self.draw.random() < 0.5:
            self.end_thread()

    def leave_letters(self) -> None:
        """Of the letters under way some are written, and some will be; the rest is lost."""
        self.draw.shuffle(self.under_way)
        letters, count = [written(item) for item in self.under_way], len(self.under_way)
        now = self.draw.randint(0, count)
        self.topics.dead += letters[:now]
        self.topics.coming += letters[now : self.topics.fate.randint(now, count)]
        self.topics.owners = self.topics.committed.owners

    def commit(self) -> None:
        told = self.source.sequences
        source, retry = (one.offset_map() if one.frontier is not None else None for one in (self.source, self.retry))
        before = self.topics.committed
        start = before.start if told is None else told.letter
        self.topics.committed = Committed(
            source or before.source,
            retry or before.retry,
            start,
            self.source.parkers if source else before.source_parkers,
            self.retry.parkers if retry else before.retry_parkers,
        )

    def arrive(self) -> None:
        """The poll thread reads a record of the source."""
        number = self.source.position
        if number == self.topics.produced:
            self.ledger.reach(SOURCE, 0, number)
        else:
            record = Record(topic=SOURCE, partition=0, offset=number, key=key_of(number), value=b"", timestamp=number)
            self.accept(Job(self.source, record))

    def read(self) -> None:
        """It reads records of the retry topic."""
        for _ in range(self.draw.randint(1, 3)):
            at = self.retry.position
            if at < len(self.topics.put_back):
                record, aborted = self.topics.put_back[at]
                if aborted:
                    self.ledger.reach(RETRY, 0, at + 1)
                else:
                    self.accept(Job(self.retry, record))

    def accept(self, job: Job) -> None:
        if self.ledger.deliver(job.assignment, job.record.offset, 1):
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
        is_bad, lane = number in self.topics.bad, job.lane
        self.lanes.finish(job)
        self.keys.finish(job)
        if is_bad:
            letter = burials.letter(job, FAILED, Reason.NON_RETRIABLE, group="g", now=1.0, parks_key=self.name)
            self.finished.append(Finished(job.assignment, job.record, letter, "non-retriable", lane))
            self.keys.followers.hold(job)
        else:
            self.topics.effects.append(Effect(str(job.record.key), number, self.name, 0.0))
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
        self.topics.dead.append(written(item))
        self.sequences.wrote(item, Written(0, len(self.topics.dead) - 1))
        assert self.ledger.complete(item.assignment, item.record.offset)

    def serve(self) -> None:
        self.settle()
        self.now += 6.0
        self.sequences.serve(deque(), self.now)

    def end_thread(self) -> None:
        while self.threads:
            self.threads.popleft()()

    def work(
        self,
        reader: object,
        config: object,
        tasks: Collection[Task],
        heads: Collection[Place],
        since: Mapping[int, int],
    ) -> Outcome:
        """What `headrace.letters.sequences.work` does on Kafka; who dies may end the last transaction, or not."""
        listed: dict[Lane, tuple[waiting.Wish, Listed]] = {}
        for task in tasks:
            for lane, wish in task.unknown.items():
                listed[lane] = (wish, self.listed(lane, wish.start, task.owners[SOURCE, 0]))
            for chunk in task.free.values():
                self.move(chunk.followers)
        gone = [place for place in heads if place.offset in self.topics.resolved]
        moved = {lane: chunk for task in tasks for lane, chunk in task.free.items()}
        return Outcome({}, gone, listed, moved, {0: len(self.topics.put_back)})

    def pass_over(self, reader: object, config: object, looks: Collection[Look]) -> list[Look]:
        """What `headrace.letters.late.pass_over` does on Kafka."""
        for look in looks:
            late = (one for one in self.topics.letters() if look.owners[SOURCE, 0].is_late(one.offset, one.by))
            places = {one.offset for one in late if one.offset >= look.start} - self.topics.resolved
            self.topics.passed |= places
            self.topics.resolved |= places
        return [look._replace(start=len(self.topics.dead)) for look in looks]

    def move(self, followers: Sequence[Follower]) -> None:
        """Move them back; of a record that has two letters the second is resolved alone."""
        done = self.draw.randint(0, len(followers)) if self.is_dying else len(followers)
        for n, one in enumerate(followers):
            if n and one.mark == followers[n - 1].mark:
                self.topics.resolved |= {one.letter} if n < done else set()
            else:
                self.topics.back(one.letter, aborted=n >= done)

    def listed(self, lane: Lane, start: int, owners: Owners) -> Listed:
        there = [
            one
            for one in self.topics.letters()
            if one.offset >= start and one.offset not in self.topics.resolved and one.delivery.lane == lane
            if not owners.is_late(one.offset, one.by)
        ]
        found = sorted(Follower(one.delivery.mark, one.offset) for one in there if one.follows)
        return Listed(frozenset(one.offset for one in there if not one.follows), found, len(self.topics.dead))


def key_of(number: int) -> bytes:
    return b"b" if number % 4 == 3 else b"a"


def lived(patches: pytest.MonkeyPatch, seed: int, pods: int = 1) -> None:
    """Let pods live, one after the other, each killed but the last, and see that it ends well."""
    topics = Topics(random.Random(seed))
    names = [f"pod-{number}" for number in range(pods)]
    for name in names[:-1]:
        pod = Pod(patches, topics, name)
        pod.go_on(topics.draw.randint(50, 600), arrivals=3)
        pod.die()
        while topics.heads() and topics.draw.random() < 0.8:
            topics.resolve()
    last = Pod(patches, topics, names[-1])
    last.go_on(600, arrivals=3)
    last.see_it_end()
    assert violations(topics.history(dict.fromkeys(names[:-1], 0.0))) == []


def all_lived(patches: pytest.MonkeyPatch, seeds: Iterable[int], pods: int = 1) -> None:
    for seed in seeds:
        lived(patches, seed, pods)


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_each_is_handled_once_in_its_order(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    all_lived(monkeypatch, range(start, start + 10))


@pytest.mark.case("delivery-3")
@pytest.mark.parametrize("start", range(0, 100, 10))
def test_keys_keep_their_order_though_pods_are_killed(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    """Wherever they are killed, and whatever is resolved before the next one begins."""
    all_lived(monkeypatch, range(start, start + 10), pods=3)


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize("start", range(1000, 1020, 5))
def test_so_they_do_though_many_pods_are_left_behind(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    """What those wrote comes when others have begun, and their heirs may be killed before they look for it."""
    all_lived(monkeypatch, range(start, start + 5), pods=5)


def releases_at_once(patches: pytest.MonkeyPatch) -> None:
    """A key is live again though more letters of it are on their way."""
    release = Sequences.release
    patches.setattr(Sequences, "release", lambda self, lane, _: release(self, lane, self.written(lane).letters))


def runs_behind_a_head(patches: pytest.MonkeyPatch) -> None:
    """What was moved back runs on though one before it failed."""
    follows = Sequences.follows

    def runs(self: Sequences, lane: Lane, record: Record) -> bool:
        return record.origin is None and follows(self, lane, record)

    patches.setattr(Sequences, "follows", runs)


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


def inherits(patches: pytest.MonkeyPatch, change: Callable[[Seen], Seen]) -> None:
    seen = Topics.seen
    patches.setattr(Topics, "seen", lambda self: change(seen(self)))


def with_found(change: Callable[[flow.Found], flow.Found]) -> Callable[[Seen], Seen]:
    return lambda seen: seen._replace(keys={lane: change(found) for lane, found in seen.keys.items()})


HEIRS: Mapping[str, Callable[[Seen], Seen]] = {
    "runs what was put back over followers": with_found(
        lambda found: found if found.heads else found._replace(barrier=None)
    ),
    "moves letters over what its source gives again": with_found(lambda found: found._replace(until=0)),
    "sends what is older than all behind it": with_found(lambda found: found._replace(oldest=None)),
    "does again what is a letter": lambda seen: seen._replace(letters=frozenset()),
}


@pytest.mark.parametrize("change", HEIRS.values(), ids=HEIRS)
def test_the_model_finds_an_heir_that_is_broken(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Seen], Seen]
) -> None:
    inherits(monkeypatch, change)
    with pytest.raises(AssertionError):
        all_lived(monkeypatch, range(400), pods=3)


def counts_what_is_late(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(Owners, "is_late", lambda *about: False)


def counts_what_comes_late_to_itself(patches: pytest.MonkeyPatch) -> None:
    """And passes over what came late to those before it."""
    patches.setattr(Owners, "is_late", lambda self, *letter: IS_LATE(self._replace(own=None), *letter))


def leaves_what_is_late_to_people(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(sequences.Sequences, "_looks_due", lambda *about: [])


def does_not_say_who_sent_a_follower(patches: pytest.MonkeyPatch) -> None:
    follower = burials.follower
    patches.setattr(burials, "follower", lambda job, **about: follower(job, **{**about, "parks_key": ""}))


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize(
    "mutant",
    [
        counts_what_is_late,
        counts_what_comes_late_to_itself,
        leaves_what_is_late_to_people,
        does_not_say_who_sent_a_follower,
    ],
)
def test_the_model_finds_letters_that_are_misjudged(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mutant(monkeypatch)
    monkeypatch.setattr("tests.runtime.worker.test_sequences.ROUNDS", 30)
    with pytest.raises(AssertionError):
        all_lived(monkeypatch, range(400), pods=3)
