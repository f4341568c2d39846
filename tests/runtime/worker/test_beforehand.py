"""What the group is to know first waits for it, and not for ever."""

from __future__ import annotations

import pytest

from headrace.flow.lanes import Job
from headrace.record import Record
from headrace.worker.beforehand import WAIT, Beforehand, Doorstep
from tests.runtime.worker.test_commits import Work


class Entrance(Work):
    """A pod that begins with two partitions, whose group answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.group.answers = False
        self.beforehand = Beforehand(self.commits)
        self.inside: list[Job] = []
        self.doorstep = Doorstep(self.beforehand, self.inside.extend)

    def come(self, number: int) -> Job:
        """Let a record of a partition come."""
        record = Record(topic="orders", partition=number, offset=1, key=b"k", value=None)
        job = Job(self.assignments[number], record)
        self.doorstep.take([job], self.now)
        return job

    def wait(self, seconds: float) -> None:
        """Let so long pass, in turns."""
        for _ in range(int(seconds * 10)):
            self.now += 0.1
            self.beforehand.serve(self.now)


@pytest.mark.case("delivery-6")
def test_nothing_runs_before_the_group_knows_that_it_may() -> None:
    work = Entrance()
    jobs = [work.come(0), work.come(1), work.come(0)]
    assert set(work.group.committed) == {("orders", 0), ("orders", 1)}
    assert work.inside == []
    work.group.answer(taken=True)
    assert work.inside == jobs
    assert work.doorstep.handed == 3
    jobs.append(work.come(1))
    assert work.inside == jobs


@pytest.mark.case("delivery-6")
def test_a_group_that_does_not_take_it_is_told_again() -> None:
    work = Entrance()
    job = work.come(0)
    work.group.answer(taken=False)
    work.group.committed.clear()
    work.wait(1)
    assert set(work.group.committed) == {("orders", 0)}
    work.group.answer(taken=True)
    assert work.inside == [job]


def test_a_group_that_does_not_answer_holds_up_nobody_for_long() -> None:
    work = Entrance()
    job = work.come(0)
    work.wait(WAIT - 1)
    assert work.inside == []
    work.wait(2)
    assert work.inside == [job]
    work.group.answer(taken=True)
    assert work.inside == [job]


def test_a_process_that_stood_still_hears_the_answer_first() -> None:
    work = Entrance()
    work.come(0)
    work.now += 60
    work.wait(1)
    assert work.inside == []


def test_what_leaves_meanwhile_is_left_out() -> None:
    work = Entrance()
    work.come(0)
    job = work.come(1)
    work.doorstep.drop(work.assignments[:1])
    work.ledger.revoke(work.assignments[0])
    work.group.answer(taken=True)
    assert work.inside == [job]
