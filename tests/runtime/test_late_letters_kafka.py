"""Dead letters that a frozen process writes late, of keys that wait behind theirs: they keep nobody waiting."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.cli import answers
from tests.kafka_broker import KafkaBroker
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import Running, World, consuming
from tests.runtime.test_late_copies_kafka import COUNTING, lingering
from tests.runtime.test_sequences_kafka import live, make, numbers
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOOKS_OFTEN = "from headrace.worker import sequences; sequences.LATE_EVERY = 1.0"
NEVER_LOOKS = "from headrace.worker import sequences; sequences.LATE_EVERY = 1e18"


def written(world: World) -> int:
    return world.end(world.config.topics.dead_letters, 0)


@contextmanager
def frozen_with_letters(world: World) -> Iterator[Running]:
    """Let a process stand still with ten letters on the way: of a record that fails, and of what follows it.

    What made it fail is mended then.
    """
    mended, sent = world.folder / "mended", world.folder / "effects.sent"
    world.produce([("a", {"n": n, **({"until": os.fspath(mended)} if n == 0 else {})}) for n in range(10)])
    with consuming(world, lingering(world), before=COUNTING) as frozen:
        until("letters on the way", lambda: sent.exists() and len(sent.read_text()) == 10)
        frozen.process.send_signal(signal.SIGSTOP)
        assert written(world) == 0
        mended.touch()
        yield frozen


def handle_what_comes(world: World, running: Running, until_number: int) -> None:
    """See that the key goes on, in its order, and that nothing is left that somebody could put back."""
    first = len(numbers(world, "a"))
    world.produce([("a", {"n": n}) for n in range(first, until_number)])
    until("what comes", lambda: len(numbers(world, "a")) == until_number)
    until("no letter is left", lambda: ask(world, "dlq-list") == [answers.Done(count=0)])
    live(world, running)
    assert numbers(world, "a") == list(range(until_number))


def come_late(world: World, frozen: Running) -> None:
    """Let another process handle all, and only then the frozen one write its letters."""
    until("all of them", lambda: numbers(world, "a") == list(range(10)))
    until("committed", lambda: world.committed() == {0: 10})
    frozen.process.send_signal(signal.SIGCONT)
    until("late letters", lambda: written(world) == 10)
    frozen.process.kill()


@pytest.mark.case("delivery-1")
def test_letters_that_come_late_are_passed_over(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """While another process has the partition, which handled those records, and after the frozen one joined again."""
    world = make(kafka_broker, tmp_path)
    with frozen_with_letters(world) as frozen, consuming(world, before=LOOKS_OFTEN) as second:
        come_late(world, frozen)
        handle_what_comes(world, second, 20)
        assert second.stop() == 0


@pytest.mark.case("delivery-1")
def test_letters_that_came_late_are_passed_over_by_the_next_owner(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """They came to one that was killed before it looked for them."""
    world = make(kafka_broker, tmp_path)
    with frozen_with_letters(world) as frozen, consuming(world, before=NEVER_LOOKS) as second:
        come_late(world, frozen)
        second.process.kill()
        second.process.wait()
    with consuming(world, before=LOOKS_OFTEN) as third:
        handle_what_comes(world, third, 20)
        assert third.stop() == 0
