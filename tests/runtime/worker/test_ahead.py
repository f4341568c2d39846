"""The dispatcher beside a handler that takes records before it begins them, and gives some back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from headrace.config import Delivery, Retry
from headrace.flow.lanes import Job
from headrace.flow.lease import Lease
from headrace.flow.ledger import Assignment
from headrace.flow.policy import NOT_BEGUN, Failed
from headrace.metrics import Metrics
from headrace.record import Record
from headrace.worker.dispatch import Dispatcher
from tests.runtime.configs import BILLING
from tests.waiting import PATIENCE

CONFIG = BILLING.model_copy(update={"delivery": Delivery(concurrency=2, retry=Retry(attempts=3, initial=0.01))})


class Hands:
    """A handler that begins what it was given when told to."""

    most_ahead = 4

    def __init__(self) -> None:
        self.ahead = 0
        self.given: list[tuple[Record, asyncio.Future[Failed | None]]] = []
        self.handled: list[Record] = []

    async def handle(self, record: Record) -> Failed | None:
        outcome = asyncio.get_running_loop().create_future()
        self.given.append((record, outcome))
        return await outcome  # type: ignore[no-any-return]

    def withdraw(self) -> None:
        """Give back all but the first two."""
        self.given, back = self.given[:2], self.given[2:]
        for _, outcome in back:
            outcome.set_result(NOT_BEGUN)

    def finish(self, failed: Failed | None = None) -> None:
        """Handle all that was given."""
        given, self.given = self.given, []
        for record, outcome in given:
            self.handled.append(record)
            outcome.set_result(failed)


def record(offset: int, key: int, partition: int = 0) -> Record:
    return Record(topic="orders", partition=partition, offset=offset, key=b"%d" % key, value=b"v")


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until it does."""
    while not holds():  # noqa: ASYNC110 - it is seen from outside, nobody tells
        await asyncio.sleep(0.001)


@asynccontextmanager
async def dispatching(hands: Hands) -> AsyncIterator[Dispatcher]:
    lease = Lease(600, time.monotonic())
    dispatcher = Dispatcher(CONFIG, hands.handle, Metrics(CONFIG), lease, hands=hands)
    async with asyncio.timeout(PATIENCE):
        runners = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
        finally:
            runners.cancel()
            with suppress(asyncio.CancelledError):
                await runners


async def test_as_many_are_given_as_run_and_as_the_handler_takes_ahead_in_order_of_their_key() -> None:
    hands, ours = Hands(), Assignment("orders", 0)
    async with dispatching(hands) as dispatcher:
        dispatcher.accept([Job(ours, record(at, key=at % 10)) for at in range(30)])
        await until(lambda: len(hands.given) == 2)
        hands.ahead = 4
        hands.finish()
        await until(lambda: len(hands.given) == 6)
        while len(hands.handled) < 30:
            assert len({one.key for one, _ in hands.given}) == len(hands.given), "two of a key at once"
            assert len(hands.given) <= 6
            hands.finish()
            await asyncio.sleep(0.001)
    for key in range(10):
        assert [one.offset for one in hands.handled if one.key == b"%d" % key] == [key, key + 10, key + 20]


async def test_a_record_that_is_given_back_runs_again_and_counts_no_attempt() -> None:
    hands, ours = Hands(), Assignment("orders", 0)
    hands.ahead = 4
    async with dispatching(hands) as dispatcher:
        dispatcher.accept([Job(ours, record(at, key=at)) for at in range(6)])
        for _ in range(5):
            await until(lambda: len(hands.given) == 6)
            hands.withdraw()
        while len(dispatcher.finished) < 6:
            hands.finish()
            await asyncio.sleep(0.001)
        assert not dispatcher.retried
    assert sorted(one.offset for one in hands.handled) == list(range(6))
    assert {one.attempt for one in hands.handled} == {1}
    assert {one.reason for one in dispatcher.finished} == {None}


async def test_what_has_not_begun_of_a_partition_that_leaves_is_left_to_its_new_owner() -> None:
    """What has begun is waited for; records of other partitions that were given back with it run on."""
    hands, leaving, staying = Hands(), Assignment("orders", 0), Assignment("orders", 1)
    hands.ahead = 4
    async with dispatching(hands) as dispatcher:
        jobs = [Job(leaving, record(at, key=at)) for at in range(4)]
        dispatcher.accept([*jobs, *(Job(staying, record(at, key=at, partition=1)) for at in range(2))])
        await until(lambda: len(hands.given) == 6)
        drained = asyncio.create_task(dispatcher.drain([leaving]))
        await until(lambda: len(hands.given) == 4)
        assert not drained.done()
        leaving.given_away = True
        dispatcher.forget([leaving])
        while len(dispatcher.finished) < 4:
            hands.finish()
            await asyncio.sleep(0.001)
        await drained
    begun = sorted((one.partition, one.offset) for one in hands.handled)
    assert begun == [(0, 0), (0, 1), (1, 0), (1, 1)]


async def test_nothing_waits_at_the_handler_while_the_target_fails() -> None:
    hands, ours = Hands(), Assignment("orders", 0)
    hands.ahead = 4
    away = Failed(message="refused", exception="OSError", unanswered=True)
    async with dispatching(hands) as dispatcher:
        dispatcher.accept([Job(ours, record(at, key=at)) for at in range(30)])
        await until(lambda: len(hands.given) == 6)
        hands.finish(away)
        await until(lambda: dispatcher.target.circuit == "open")
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(hands.given) <= 2
