"""Who runs after an unclean stop: suspects together once their crash is counted, those counted before alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from headrace.flow.lanes import Job
from headrace.flow.ledger import Assignment
from headrace.flow.offset_map import Tried
from headrace.record import Record
from headrace.worker.quarantine import Quarantine

HELD = Assignment("orders", 0)
TIMEOUT = 30.0


def job(offset: int, crashes: int = 0) -> Job:
    """Return a record that was there ``crashes`` times when the process ended."""
    record = Record(topic="orders", partition=0, offset=offset, key=b"%d" % offset, value=None)
    return Job(HELD, record, tried=Tried(1, crashes))


class Ward:
    """A quarantine, the records in it, and ``others`` that began before."""

    def __init__(self, *others: Job) -> None:
        self.others = list(others)
        self.entered: dict[Job, asyncio.Task[None]] = {}
        self.quarantine = Quarantine(lambda: [*self.others, *self.entered], TIMEOUT)

    async def enter(self, *jobs: Job) -> None:
        for one in jobs:
            self.entered[one] = asyncio.create_task(self.quarantine.enter(one))
        await asyncio.sleep(0)

    def leave(self, one: Job) -> None:
        del self.entered[one]
        self.quarantine.leave(one)

    async def begin(self) -> list[int]:
        """Have the commit written; return the offsets that run then."""
        if (ahead := self.quarantine.asked_before()) is not None:
            ahead.written()
            await asyncio.sleep(0)
        return [one.record.offset for one, task in self.entered.items() if task.done()]

    async def end(self) -> None:
        for task in self.entered.values():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.mark.case("delivery-19")
async def test_nothing_runs_before_its_crash_is_committed_and_those_counted_run_one_at_a_time() -> None:
    ward, counted, other = Ward(), [job(0, 1), job(1, 2)], job(2)
    await ward.enter(*counted, other)
    assert [task.done() for task in ward.entered.values()] == [False] * 3
    assert await ward.begin() == [0]
    assert await ward.begin() == [0], "the second one waits for the end of the first"
    ward.leave(counted[0])
    assert await ward.begin() == [1]
    ward.leave(counted[1])
    assert await ward.begin() == [2]
    ward.leave(other)
    assert not ward.quarantine.is_active
    await ward.end()


@pytest.mark.case("delivery-19")
async def test_a_record_that_hangs_since_before_keeps_no_suspect_from_running_but_those_counted() -> None:
    """What is alone beside another one proves nothing; the others need not wait for it."""
    hangs = job(9)
    ward, counted, others = Ward(hangs), job(0, 1), [job(1), job(2)]
    await ward.enter(counted, *others)
    assert await ward.begin() == [1]
    ward.leave(others[0])
    assert await ward.begin() == [2]
    ward.leave(others[1])
    assert await ward.begin() == []
    ward.others.clear()
    ward.quarantine.leave(hangs)
    assert await ward.begin() == [0]
    await ward.end()


@pytest.mark.looptime
@pytest.mark.case("delivery-19")
@pytest.mark.parametrize("crashes", [0, 1], ids=["suspect", "counted"])
async def test_a_suspect_that_hangs_holds_up_nobody_once_its_time_out_is_over(crashes: int) -> None:
    """It may run for an hour, or for ever; those counted are alone but for it, and then all is as in ordinary times."""
    ward, hangs, counted, other = Ward(), job(0, crashes), job(1, 1), job(2)
    await ward.enter(hangs)
    assert await ward.begin() == [0]
    await ward.enter(counted, other)
    await asyncio.sleep(TIMEOUT - 1)
    assert await ward.begin() == [0]
    await asyncio.sleep(2)
    assert await ward.begin() == [0, 1]
    ward.leave(counted)
    assert await ward.begin() == [0, 2]
    ward.leave(other)
    assert not ward.quarantine.is_active
    assert ward.quarantine.has_counted(hangs)
    ward.leave(hangs)
    assert not ward.quarantine.has_counted(hangs)
    await ward.end()


@pytest.mark.looptime
@pytest.mark.case("delivery-19")
async def test_one_counted_waits_no_longer_than_a_time_out_for_what_hangs_since_before() -> None:
    """Else as many of them as there are runners, beside one that hangs, would wait for ever."""
    ward, counted = Ward(job(9)), [job(0, 1), job(1, 2)]
    await ward.enter(*counted)
    assert await ward.begin() == []
    await asyncio.sleep(TIMEOUT + 1)
    assert await ward.begin() == [0]
    ward.leave(counted[0])
    assert await ward.begin() == [1]
    await ward.end()


@pytest.mark.looptime
@pytest.mark.case("delivery-19")
async def test_the_time_out_is_that_of_each_attempt() -> None:
    """A second attempt is not cut short by what the first one took."""
    ward, again, counted = Ward(), job(0), job(1, 1)
    await ward.enter(again)
    await ward.begin()
    await asyncio.sleep(TIMEOUT - 1)
    ward.leave(again)
    await ward.enter(again)
    await ward.begin()
    await ward.enter(counted)
    await asyncio.sleep(TIMEOUT - 1)
    assert await ward.begin() == [0]
    await asyncio.sleep(2)
    assert await ward.begin() == [0, 1]
    await ward.end()
