"""What the poll thread makes of the retry partitions that it is given: what waits for them, and for how long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from headrace.flow.lanes import Job
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.parking import Found, Mark
from headrace.flow.partitions import Partition
from headrace.flow.policy import Failed
from headrace.kafka.topics import TopicMissingError, UnansweredError
from headrace.letters.parked import Scan
from headrace.metrics import Metrics
from headrace.record import Position, Record
from headrace.worker import parking
from headrace.worker.dispatch import Dispatcher
from headrace.worker.parking import Parking
from headrace.worker.pauses import Pauses
from tests.runtime.configs import BILLING
from tests.runtime.pausing import Client
from tests.waiting import PATIENCE, until

SOURCE, RETRY = ("orders", 0), (BILLING.topics.retry, 0)


async def handle(record: Record) -> Failed | None:
    return None


class Pod:
    """One that is given a source partition and the retry partition of its number."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.client, self.ledger, metrics = Client(), Ledger(), Metrics(BILLING)
        self.dispatcher = Dispatcher(BILLING, handle, metrics, Lease(600, time.monotonic()))
        self.pauses = Pauses(self.client, metrics)  # type: ignore[arg-type]
        self.parking = Parking(BILLING, self.ledger, self.pauses, self.dispatcher, loop, lambda finished: None)
        self.loop = loop
        self.source, self.retry = self.assign(SOURCE), self.assign(RETRY)
        self.parking.begin([SOURCE, RETRY])

    def assign(self, partition: Partition) -> Assignment:
        return self.ledger.assign(*partition)

    def waits(self) -> set[Partition]:
        """Take a turn, and return what is not read after it."""
        self.parking.serve((), (), time.monotonic())
        self.loop.run_until_complete(asyncio.sleep(0))
        return self.client.paused


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def holding(*offsets: int, counts: Mapping[str, int] | None = None, end: int = 1_000) -> Iterator[tuple[int, Scan]]:
    """A retry partition in which these records of a key of the source, which has that ``end``, are parked."""
    found = [Found((*SOURCE, b"a"), Mark(offset, 1), False) for offset in offsets]
    yield 0, Scan(found, dict(counts or {}), 1_000, ends={SOURCE: end})


@pytest.mark.parametrize("error", [TopicMissingError("retry/0"), OSError("no such certificate")])
def test_what_is_parked_is_asked_again_until_it_is_known(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, error: Exception
) -> None:
    answers: Iterator[Exception | Iterator[tuple[int, Scan]]] = iter([error, holding()])

    def scans(*about: object) -> Iterator[tuple[int, Scan]]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(parking, "scans", scans)
    monkeypatch.setattr(parking, "AGAIN", 0.0)
    pod = Pod(loop)
    assert pod.client.paused == {SOURCE, RETRY}
    until("both are read", lambda: not pod.waits())


@pytest.mark.case("delivery-19")
def test_a_scan_that_takes_long_is_no_answer_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    """Though one was when the partition was here before."""
    is_long, may_end = threading.Event(), threading.Event()
    answers: Iterator[Exception | None] = iter([UnansweredError("no leader"), None, None])

    def scans(*about: object) -> Iterator[tuple[int, Scan]]:
        if (error := next(answers)) is not None:
            raise error
        if is_long.is_set():
            assert may_end.wait(PATIENCE)
        return holding()

    for name, value in (("scans", scans), ("AGAIN", 0.0), ("REFUSED", 0.0)):
        monkeypatch.setattr(parking, name, value)
    pod = Pod(loop)
    until("both are read", lambda: not pod.waits())
    is_long.set()
    pod.ledger.revoke(pod.retry)
    pod.assign(RETRY)
    pod.parking.begin([SOURCE, RETRY])
    for _ in range(2):
        assert pod.waits() == {SOURCE, RETRY}
        assert pod.parking.refusal is None
    may_end.set()
    until("both are read again", lambda: not pod.waits())


def test_a_bug_of_the_scan_ends_the_pod(monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop) -> None:
    """Else its sources would wait for ever, and the pod say that it is ready."""

    def scans(*about: object) -> Iterator[tuple[int, Scan]]:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(parking, "scans", scans)
    pod = Pod(loop)
    with pytest.raises(LookupError):
        until("the fault", lambda: not pod.waits())


def test_a_partition_that_does_not_answer_holds_up_no_other_and_is_told(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    """The pod is not ready after a while, until it is read, too."""
    answers = threading.Event()

    def scans(config: object, begun: Mapping[int, object], parkers: object) -> Iterator[tuple[int, Scan]]:
        if 1 in begun:
            yield 1, Scan([], {}, 0)
        if not answers.wait(0.05):
            raise UnansweredError("no leader")
        yield 0, Scan([], {}, 0)

    monkeypatch.setattr(parking, "scans", scans)
    monkeypatch.setattr(parking, "AGAIN", 0.01)
    monkeypatch.setattr(parking, "REFUSED", 0.1)
    pod = Pod(loop)
    others = {("orders", 1), (RETRY[0], 1)}
    for other in others:
        pod.assign(other)
    pod.parking.begin(sorted(others))
    assert others < pod.client.paused
    until("the other is read", lambda: pod.waits() == {SOURCE, RETRY})
    until("it is told", lambda: pod.waits() == {SOURCE, RETRY} and pod.parking.refusal is not None)
    assert pod.parking.refusal == f"what is parked in {RETRY[0]}/0 is not known: no leader"
    answers.set()
    until("all is read", lambda: pod.waits() == set())
    assert pod.parking.refusal is None


@pytest.mark.parametrize("how", ["passed", "at its end"])
def test_what_is_parked_waits_until_its_source_is_read(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, how: str
) -> None:
    """Beyond what is parked, or to the end of a log that is another one, and shorter.

    Not to where it seems to end: a broker that has just become its leader shows less.
    """
    end = {"passed": 1_000, "at its end": 8}[how]
    monkeypatch.setattr(parking, "scans", lambda *about: holding(9, end=end))
    pod = Pod(loop)
    until("the source is read", lambda: SOURCE not in pod.waits())
    pod.ledger.reach(*SOURCE, 7)
    assert pod.waits() == {RETRY}
    if how == "passed":
        pod.ledger.deliver(pod.source, 9, 1)
    else:
        pod.ledger.reach(*SOURCE, 8)
    assert pod.waits() == set()


@pytest.mark.case("delivery-15")
@pytest.mark.parametrize("partitions", [3, 6])
def test_what_is_parked_waits_for_its_source_partition_while_it_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, partitions: int
) -> None:
    """As after the source has got more partitions than the retry topic: what is older than it has not run there."""
    counts = {SOURCE[0]: partitions, RETRY[0]: 3}
    monkeypatch.setattr(parking, "scans", lambda *about: holding(9, counts=counts))
    pod = Pod(loop)
    pod.ledger.revoke(pod.source)
    until("what is parked is known", lambda: pod.waits() == {RETRY} and pod.parking._beyond)
    pod.source = pod.assign(SOURCE)
    assert pod.waits() == {RETRY}
    pod.ledger.deliver(pod.source, 9, 1)
    assert pod.waits() == set()


def test_what_is_parked_waits_for_no_source_partition_that_never_comes(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    """One of fewer partitions is assigned in another way, and one that is not read any more is nobody's."""
    monkeypatch.setattr(parking, "scans", lambda *about: holding(9, counts={SOURCE[0]: 2, RETRY[0]: 3}))
    pod = Pod(loop)
    pod.ledger.revoke(pod.source)
    until("it is read", lambda: pod.waits() == set())


def test_sources_wait_while_too_much_is_parked_and_not_read(
    monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    """Until much of it is read; not before what is older than what is parked was read, which waits for that."""
    monkeypatch.setattr(parking, "scans", lambda *about: holding(*range(5)))
    monkeypatch.setattr(parking, "MOST_UNREAD", 4)
    monkeypatch.setattr(parking, "FEW_UNREAD", 2)
    pod = Pod(loop)
    until("the source is read", lambda: pod.waits() == {RETRY})
    pod.ledger.reach(*SOURCE, 5)
    assert pod.waits() == {SOURCE}
    for offset, paused in enumerate(({SOURCE}, {SOURCE}, set())):
        record = Record(
            topic=RETRY[0],
            partition=0,
            offset=offset,
            key=b"a",
            value=b"v",
            timestamp=1,
            origin=Position(*SOURCE, offset),
            parked=True,
        )
        pod.dispatcher.accept([Job(pod.retry, record)])
        assert pod.waits() == paused


def test_a_partition_that_waits_as_another_assignment_is_still_not_read(loop: asyncio.AbstractEventLoop) -> None:
    pod = Pod(loop)
    assert pod.client.paused == {SOURCE, RETRY}
    pod.pauses.set_held(frozenset({pod.assign(SOURCE)}))
    assert pod.client.paused == {SOURCE}
    pod.pauses.begin([pod.source, pod.assign(("orders", 1))])
    pod.pauses.end()
    assert pod.client.paused == {SOURCE}
