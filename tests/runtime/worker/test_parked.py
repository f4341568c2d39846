"""Keys that are parked, beside a model of Kafka's topics: wherever pods are killed, each goes on in its order.

Also where they wait behind dead letters, too, as both lie in the retry topic (`tests.runtime.worker.test_sequences`).
What a pod that was killed, or left behind, had on the way to the retry topic comes there in part, and some of it late.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from headrace.failure import Reason
from headrace.flow import seen as flow
from headrace.flow.finished import Finished
from headrace.flow.lanes import Job
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import OffsetMap, Tried, stamp
from headrace.flow.ownership import is_late
from headrace.flow.parking import Parking, parked_among, tried_of
from headrace.flow.partitions import Partition
from headrace.flow.seen import Begun, Seen
from headrace.kafka.messages import record_of
from headrace.letters.parked import Scan
from headrace.metrics import Metrics
from headrace.progress import Parker
from headrace.progress import Sequences as Told
from headrace.record import Record
from headrace.worker import burials, parking
from headrace.worker.aside import Aside
from headrace.worker.keys import Keys
from headrace.worker.pauses import Pauses
from tests.runtime.history import Effect, violations
from tests.runtime.pausing import Client
from tests.runtime.worker import test_sequences as waiting
from tests.runtime.worker.test_arrivals import Message
from tests.runtime.worker.test_sequences import FAILED, PARKS, RETRY, SOURCE, key_of

PODS = 8
Parkers = Mapping[Partition, Sequence[Parker]]
LIMITS = {
    "headrace.flow.budget.HIGH": 40,
    "headrace.flow.budget.LOW": 20,
    "headrace.flow.parking.HIGH": 12,
    "headrace.flow.aside.LOW": 20,
    "headrace.worker.parking.MOST_UNREAD": 30,
    "headrace.worker.parking.FEW_UNREAD": 15,
}


class Topics(waiting.Topics):
    """What outlasts pods: also who parked, and what is ``late``: on its way to the retry topic from who died."""

    is_late = staticmethod(is_late)

    def __init__(self, draw: random.Random, bad: float) -> None:
        super().__init__(draw, bad)
        self.late: list[deque[Finished]] = []
        self.clock = 0.0
        self.killed: dict[str, float] = {}

    def park(self, item: Finished) -> None:
        """Have a record in the retry topic."""
        message: Any = Message((RETRY, 0), len(self.put_back), item.record.key, b"", item.letter or ())
        self.put_back.append((record_of(message, RETRY, PARKS.group), False))

    def come_late(self) -> None:
        self.late = [one for one in self.late if one]
        if self.late:
            self.park(self.draw.choice(self.late).popleft())

    def scans(self, config: object, begun: Mapping[int, OffsetMap], parkers: Parkers) -> Iterator[tuple[int, Scan]]:
        log = [one for one, _ in self.put_back if not self.is_late(one, parkers[SOURCE, 0])]
        found = list(parked_among(log, "Key", begun[0]))
        pending = list(flow.pending_among(log, "Key", begun[0]))
        counts, ends = {SOURCE: 1, RETRY: 1}, {(SOURCE, 0): self.produced}
        yield 0, Scan(found, counts, len(self.put_back), pending, ends)

    def scanned(
        self, config: object, begun: Mapping[int, Sequence[Begun]], scans: Iterable[tuple[int, Scan]]
    ) -> Iterator[tuple[int, Scan, Seen, Mapping[int, int]]]:
        resolved = frozenset(self.resolved)
        for number, scan in scans:
            names = {one.name: one for one in begun[0]}
            ends = (len(self.dead), scan.end)
            yield number, scan, flow.seen(self.letters(), scan.pending, names, resolved=resolved, ends=ends), {}


class Consumer(Client):
    """Where a pod reads on."""

    def __init__(self, places: Mapping[Partition, int]) -> None:
        super().__init__()
        self.places = dict(places)

    def read_again(self, partition: Partition, offset: int) -> bool:
        self.places[partition] = offset
        return True


class Writer:
    """Writes into the retry topic: what is ``sent`` comes there in order, and is told some time after."""

    refusal = None

    def __init__(self, topics: Topics, told: Callable[[Finished], None]) -> None:
        self.topics, self.told = topics, told
        self.slow = topics.draw.choice((0.0, 0.8, 0.97))
        self.drafts, self.sent, self.there = deque[Finished](), deque[Finished](), deque[Finished]()

    @property
    def outstanding(self) -> int:
        return len(self.drafts) + len(self.sent) + len(self.there)

    def write(self, item: Finished) -> None:
        self.drafts.append(item)

    def look_anew(self) -> None:
        pass

    def serve(self) -> None:
        while self.drafts:
            draft = self.drafts.popleft()
            if not draft.assignment.given_away:
                self.sent.append(draft)
        draw = self.topics.draw
        self.arrive(0 if draw.random() < self.slow else 4)
        for _ in range(draw.randint(0, len(self.there))):
            self.told(self.there.popleft())
        if draw.random() < 0.02:
            self.drafts = deque([*self.there, *self.sent])
            self.sent, self.there = deque(), deque()

    def arrive(self, most: int) -> None:
        for _ in range(min(most, len(self.sent))):
            self.topics.park(self.sent[0])
            self.there.append(self.sent.popleft())

    def die(self) -> None:
        """Some comes to the topic, in order; of what is left some does late, the rest never."""
        draw = self.topics.draw
        self.arrive(draw.randint(0, len(self.sent)))
        self.topics.late.append(deque(islice(self.sent, draw.randint(0, len(self.sent)))))


class Pod(waiting.Pod):
    """One pod, which parks keys that wait for long, that fail, or that hold most of what there is."""

    topics: Topics
    is_last = False

    def begin(self, patches: pytest.MonkeyPatch) -> None:
        metrics, loop, told = Metrics(PARKS), self.loop, self.topics.committed
        client: Any = Consumer({(SOURCE, 0): told.source.at, (RETRY, 0): told.retry.at})
        self.client = client
        self.running: list[Job] = []
        self.is_leaving = False
        self.retried: deque[tuple[Assignment, int, Tried]] = deque()
        self.source.sequences = Told(0, told.start, 0)
        for one, parkers in ((self.source, told.source_parkers), (self.retry, told.retry_parkers)):
            one.parkers = parkers or ()
            one.committed = None if parkers is None else one.committed
        patches.setattr(parking, "scans", self.topics.scans)
        patches.setattr(parking, "scanned", self.topics.scanned)
        patches.setattr(parking, "Parked", lambda config, written: Writer(self.topics, written))
        about: Any = (PARKS, self.ledger, Pauses(self.client, metrics), self.dispatcher, loop, self.note_done)
        self.parking = parking.Parking(*about)
        more: Any = (self.client, self.ledger, self.dispatcher, loop)
        self.aside = Aside(*more)
        self.parking.begin([self.source.name, self.retry.name])

    @property
    def writer(self) -> Writer:
        writer: Any = self.parking.writer
        assert isinstance(writer, Writer)
        return writer

    def go_on(self, steps: int, *, arrivals: int) -> None:
        often = (4, 2, 1, 1) if self.is_last else self.draw.choices((0, 1, 4), k=4)
        calls = (self.arrive, self.read, self.come_late, self.commit)
        may: list[Callable[[], None]] = [call for call, n in zip(calls, often, strict=True) for _ in range(n)]
        may += [self.topics.produce] * arrivals + [self.hear] * 3
        may += [self.take] * 3 + [self.finish] * 3 + [self.settle, *[self.acknowledge] * 2, self.serve, self.serve]
        may += [*[self.end_thread] * 2, self.topics.resolve]
        may += [self.park_crowding, self.park_failing] * (arrivals > 0)
        for _ in range(steps):
            self.draw.choice(may)()

    def come_late(self) -> None:
        self.topics.come_late()
        self.topics.letter_comes()

    def park_crowding(self) -> None:
        self.calls.append((self.keys.park_crowding, ()))

    def park_failing(self) -> None:
        if self.draw.random() < 0.3:
            self.calls.append((self.keys.park_failing, (self.source,)))

    def is_behind(self) -> bool:
        under_way = self.topics.late or self.writer.outstanding or self.keys.leaving or self.keys.parked
        return bool(under_way) or super().is_behind()

    def die(self) -> None:
        super().die()
        self.writer.die()
        self.topics.killed[self.name] = self.topics.clock

    def leave(self) -> None:
        """It gives its partitions away: what runs ends, and of what goes to the retry topic some may not be there."""
        self.is_leaving = True
        while self.calls:
            self.hear()
        self.lanes.drop([self.source, self.retry])
        while self.running:
            self.finish()
        self.settle()
        while self.under_way and self.topics.fate.random() < 0.95:
            self.acknowledge()
        while self.writer.outstanding and self.draw.random() < 0.8:
            self.settle()
        self.source.given_away = self.retry.given_away = True
        self.commit()
        if self.under_way:
            self.leave_letters()
        self.topics.owners = self.topics.committed.owners
        self.writer.die()

    def commit(self) -> None:
        """Commit both partitions. What was finished before is told; seconds are two for each commit."""
        self.settle()
        super().commit()
        self.topics.clock += 2

    def begin_with(self, assignment: Assignment) -> None:
        """Commit before the first record of a partition is handled, of that alone."""
        if assignment.begun:
            return
        assignment.begun = True
        name = "source" if assignment is self.source else "retry"
        about: dict[str, Any] = {name: assignment.offset_map(), f"{name}_parkers": assignment.parkers}
        self.topics.committed = self.topics.committed._replace(**about)

    def arrive(self) -> None:
        name = self.source.name
        if name in self.client.paused:
            return
        number = self.client.places[name]
        if number == self.topics.produced:
            self.ledger.reach(*name, number)
            return
        self.client.places[name] += 1
        about: Any = {"topic": SOURCE, "partition": 0, "offset": number, "timestamp": number}
        self.accept_record(self.source, Record(**about, key=key_of(number), value=b""))

    def read(self) -> None:
        name = self.retry.name
        for _ in range(self.draw.randint(1, 4)):
            at = self.client.places[name]
            if name in self.client.paused:
                return
            if at == len(self.topics.put_back):
                self.ledger.reach(*name, at)
                return
            record, aborted = self.topics.put_back[at]
            self.client.places[name] += 1
            if not aborted:
                self.accept_record(self.retry, record)

    def accept_record(self, assignment: Assignment, record: Record) -> None:
        """What `headrace.worker.poll` makes of a record."""
        if not self.ledger.deliver(assignment, record.offset, 1, stamp(record.timestamp)):
            return
        tried = self.ledger.tried(assignment, record.offset)
        if tried is not None:
            record = replace(record, attempt=tried.attempt)
        elif record.parked:
            tried = tried_of(record)
        self.begin_with(assignment)
        self.calls.append((self.sort, (Job(assignment, record, "Key", tried),)))

    def sort(self, job: Job) -> None:
        late = []
        for one in self.keys.sort([job]):
            waits = one.tried is not None and one.tried.attempt > 1
            if self.lanes.add(one, self.now + self.draw.randint(0, 20) if waits else None) and self.draw.random() < 0.5:
                late += [one.lane] if waits else []
        if late:
            self.keys.park_waiting(late)

    def take(self) -> None:
        job = self.lanes.take()
        if job is not None:
            self.running.append(job)

    def finish(self) -> None:
        """A record's attempt ends."""
        if not self.running:
            return
        job = self.running.pop(self.draw.randrange(len(self.running)))
        number = job.record.source.offset
        if self.draw.random() < 0.25 and job.attempt < 4 and not self.is_leaving:
            self.fail(job)
            return
        self.lanes.finish(job)
        self.keys.finish(job)
        if number in self.topics.bad:
            by = self.keys.owner(job)
            letter = burials.letter(job, FAILED, Reason.NON_RETRIABLE, group=PARKS.group, now=1.0, parks_key=by)
            self.finished.append(Finished(job.assignment, job.record, letter, "non-retriable", job.lane))
            self.keys.hold(job)
        else:
            self.topics.effects.append(Effect(str(job.record.key), number, self.name, self.topics.clock))
            self.finished.append(Finished(job.assignment, job.record, None, None))

    def fail(self, job: Job) -> None:
        job.attempt += 1
        job.record = replace(job.record, attempt=job.attempt)
        job.tried = Tried(job.attempt)
        self.retried.append((job.assignment, job.record.offset, job.tried))
        self.lanes.delay(job, self.now + self.draw.randint(0, 20))
        if self.draw.random() < 0.3:
            self.keys.park_waiting([job.lane])

    def settle(self) -> None:
        while self.retried:
            self.ledger.note(*self.retried.popleft())
        while self.finished:
            item = self.finished.popleft()
            if item.letter is None:
                self.note_done(item)
            else:
                self.sequences.send(item)
                self.under_way.append(item)
        for item in self.keys.take_done():
            self.note_done(item)
        self.parking.write()

    def note_done(self, item: Finished) -> None:
        self.ledger.complete(item.assignment, item.record.offset)

    def serve(self) -> None:
        self.settle()
        self.now += 6.0
        self.lanes.wake(self.now)
        self.parking.serve((), (), self.now)
        self.aside.serve(self.now, is_full=self.parking.is_full)
        self.sequences.serve(self.parking.learnt, self.now)
        if self.sequences._looks:
            self.topics.owners = self.sequences._looks[0].owners[SOURCE, 0]


def lived(patches: pytest.MonkeyPatch, seed: int, bad: float, pods: int) -> Topics:
    """Let pods live, one after the other, each killed but the last, and see that it ends well."""
    for name, value in LIMITS.items():
        patches.setattr(name, value)
    topics = Topics(random.Random(seed), bad)
    names = [f"pod-{number}" for number in range(pods)]
    for name in names[:-1]:
        pod = Pod(patches, topics, name)
        pod.go_on(topics.draw.choice((20, 50, 100, 200, 400)), arrivals=3)
        topics.draw.choice((pod.die, pod.leave))()
        while topics.heads() and topics.draw.random() < 0.8:
            topics.resolve()
    last = Pod(patches, topics, names[-1])
    last.is_last = True
    last.go_on(200, arrivals=3)
    last.see_it_end()
    assert violations(topics.history(topics.killed)) == [], seed
    return topics


@pytest.mark.parametrize("start", range(0, 20, 5))
def test_parked_keys_keep_their_order_though_pods_are_killed_or_leave(
    monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    for seed in range(start, start + 5):
        lived(monkeypatch, seed, 0.0, PODS)


@pytest.mark.case("delivery-3")
@pytest.mark.parametrize("seed", [*range(10), 41, 55, 102])
def test_so_do_keys_that_wait_behind_dead_letters_too(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Their parked records may be letters already, and older ones may come again from the source and be parked."""
    lived(monkeypatch, seed, 0.04, PODS)


def counts_what_is_late(patches: pytest.MonkeyPatch) -> None:
    patches.setattr("headrace.worker.keys.is_late", lambda *about: False)
    patches.setattr(Topics, "is_late", staticmethod(lambda *about: False))


def handles_again_what_is_done(patches: pytest.MonkeyPatch) -> None:
    begin = Parking.begin
    patches.setattr(
        Parking, "begin", lambda self, number, found: begin(self, number, [one._replace(done=False) for one in found])
    )


def reads_what_is_parked_before_its_source(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(parking, "beyond", lambda *about: {})


def takes_what_is_aside_as_it_comes(patches: pytest.MonkeyPatch) -> None:
    patches.setattr("headrace.flow.aside.Aside.admits", lambda *about: True)


def judges_a_letter_by_its_source(patches: pytest.MonkeyPatch) -> None:
    """And takes the parked copy of the record for another one."""
    patches.setattr(Keys, "_comes_parked", lambda *about: False)


def runs_over_what_is_parked_of_a_key_that_waits(patches: pytest.MonkeyPatch) -> None:
    judge = Keys._judge_other
    patches.setattr(
        Keys,
        "_judge_other",
        lambda self, job, said: said if job.lane in self.followers._sequences else judge(self, job, said),
    )


@pytest.mark.parametrize(
    ("mutant", "seed", "bad"),
    [
        (counts_what_is_late, 1021, 0.0),
        (handles_again_what_is_done, 0, 0.0),
        (reads_what_is_parked_before_its_source, 1003, 0.0),
        (takes_what_is_aside_as_it_comes, 1000, 0.0),
        (judges_a_letter_by_its_source, 55, 0.04),
        (runs_over_what_is_parked_of_a_key_that_waits, 102, 0.04),
    ],
)
def test_the_model_finds_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None], seed: int, bad: float
) -> None:
    """By seeds that were looked for: most find none of it."""
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        lived(monkeypatch, seed, bad, PODS)
