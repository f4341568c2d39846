"""Keys that wait behind dead letters, of which processes are killed amid it: what the next one makes of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from headrace.cli import answers
from tests.kafka_broker import KafkaBroker
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import World, consuming
from tests.runtime.test_sequences_kafka import discard_heads, letters, live, make, number_of, numbers
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

DIES_AFTER = """
import os
from headrace.kafka.producer import Producer
from headrace.worker import commits
commits.EVERY = commits.AFTER = 10**9
send, left = Producer.send, iter(range({count}))
def dies(self, *about, **more):
    if next(left, None) is None:
        self._client.flush(30)
        os.kill(os.getpid(), 9)
    send(self, *about, **more)
Producer.send = dies
"""
"""It is killed as ``count`` letters are written, and has committed nothing of what was moved back."""


def do_with(world: World, how: str, mended: Path) -> None:
    """Have the only head discarded, or put back now that what made it fail is mended."""
    if how == "discarded":
        assert discard_heads(world) == 1
        return
    mended.touch()
    assert ask(world, "redrive")[-1] == answers.Done(count=1)


@pytest.mark.case("delivery-16")
@pytest.mark.parametrize(("how", "count"), [("discarded", 6), ("put back", 6), ("put back", 1)])
def test_what_has_no_letter_yet_keeps_its_place(
    kafka_broker: KafkaBroker, tmp_path: Path, how: str, count: int
) -> None:
    """The head is done with before the next process looks, to which it seems that nothing keeps the key any more."""
    world, mended = make(kafka_broker, tmp_path), tmp_path / "mended"
    fails = {10: {"reject": True} if how == "discarded" else {"until": os.fspath(mended)}, 0: {"reject": True}}
    world.produce([("a", {"n": n, **fails.get(n, {})}) for n in range(30)])
    with consuming(world) as running:
        until("all of them", lambda: len(letters(world)) == 30)
        until("committed", lambda: world.committed() == {0: 30})
        running.process.kill()
    assert discard_heads(world) == 1
    with consuming(world, before=DIES_AFTER.format(count=count)) as running:
        assert running.process.wait(PATIENCE) == -signal.SIGKILL
    assert [number_of(one) for one in letters(world)[30:]] == [*range(10, 10 + count)]
    do_with(world, how, mended)
    behind = [*range(11 if how == "discarded" else 10, 30)]
    with consuming(world) as running:
        until("all of them", lambda: set(behind) <= set(numbers(world, "a")))
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == [*range(1, 10), *range(1, 10), *behind]
    assert ask(world, "dlq-list") == [answers.Done(count=0)]


TELLS_NOTHING = "from headrace.worker import commits; commits.EVERY = commits.AFTER = 10**9"
DIES_AS_IT_BEGINS = """
import os
from headrace.worker.beforehand import Doorstep
def dies(self):
    os.kill(os.getpid(), 9)
Doorstep._let_in = dies
"""
"""It has told that it works on its partition, and what waits of it, and handled nothing."""


@pytest.mark.case("delivery-3")
def test_what_was_discarded_stays_so_after_a_second_kill(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Nothing is committed: the head comes again, whose letter the process between had no need to look at."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(10)])
    with consuming(world, before=TELLS_NOTHING) as running:
        until("all of them", lambda: len(letters(world)) == 10)
        running.process.kill()
    assert discard_heads(world) == 1
    with consuming(world, before=DIES_AS_IT_BEGINS) as running:
        assert running.process.wait(PATIENCE) == -signal.SIGKILL
    assert world.committed() == {0: 0}
    with consuming(world) as running:
        until("all of them", lambda: len(numbers(world, "a")) == 9)
        until("done with the source", lambda: world.committed() == {0: 10})
        assert len(letters(world)) == 10
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(1, 10))
    assert ask(world, "dlq-list") == [answers.Done(count=0)]
