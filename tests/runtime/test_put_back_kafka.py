"""What is put back while others look: who owns its key next, and what an open transaction beside it hides."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from headrace.cli import answers
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import hide
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import World, consuming, make_world
from tests.runtime.test_sequences_kafka import discard_heads, letters, live, make, numbers
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

MOVED_MEANWHILE = """
import contextlib
from headrace.flow.waiting import Follower
from headrace.kafka import connection
from headrace.kafka.topics import FencedError, Reader, Writer
from headrace.letters import sequences
from headrace.worker import parking
scanned = parking.scanned

def followers(reader, config):
    (span,) = reader.spans(config.topics.dead_letters).values()
    found = [one for one in sequences.letters(reader, config, 0, span) if one.follows]
    return sorted(Follower(one.delivery.mark, one.offset) for one in found)

def move(reader, writer, config):
    with contextlib.suppress(FencedError):
        sequences.Mover(reader, writer, config, 0, lambda: True).move([followers(reader, config)])

def then(scans, *about):
    for one in scans:
        move(*about)
        yield one

def meanwhile(config, begun, scans):
    properties = connection.properties(config.kafka)
    with Reader(properties) as reader, Writer(properties, sequences.transactional_id(config, 0)) as writer:
        yield from scanned(config, begun, then(scans, reader, writer, config))

parking.scanned = meanwhile
"""
"""As an owner before does that lives on: it moves followers back once its successor has read the retry topic."""


def look_often(world: World, partition: int) -> None:
    """Have records handled one after the other, in which time all that looks has looked."""
    for n in range(20):
        world.produce([("other", {"n": n})], partition=partition)
        until("the next", lambda: numbers(world, "other") == list(range(n + 1)))  # noqa: B023


def test_what_an_owner_before_still_moves_back_goes_before_what_comes(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(30)])
    with consuming(world) as running:
        until("all of them", lambda: len(letters(world)) == 30)
        until("committed", lambda: world.committed() == {0: 30})
        running.process.kill()
    assert discard_heads(world) == 1
    world.produce([("a", {"n": n}) for n in range(30, 60)])
    hidden = hide({"bootstrap.servers": kafka_broker.bootstrap_servers}, world.config.topics.retry)
    with consuming(world, before=MOVED_MEANWHILE) as running:
        until("what comes", lambda: len(letters(world)) == 60 or numbers(world, "a"))
        hidden.abort_transaction(PATIENCE)
        until("all of them", lambda: len(numbers(world, "a")) == 59)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(1, 60))


def test_a_key_waits_for_what_was_put_back_of_it_behind_an_open_transaction(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "poison": n == 0}) for n in range(10)])
    with consuming(world) as running:
        until("all of them", lambda: len(letters(world)) == 10)
        hidden = hide({"bootstrap.servers": kafka_broker.bootstrap_servers}, world.config.topics.retry)
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        look_often(world, 0)
        world.produce([("a", {"n": n}) for n in range(10, 20)])
        until("what comes", lambda: len(letters(world)) == 20 or numbers(world, "a"))
        hidden.abort_transaction(PATIENCE)
        until("all of them", lambda: len(numbers(world, "a")) == 20)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(20))


def test_a_partition_stands_for_what_was_put_back_of_it_behind_an_open_transaction(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=2, on_dead_letter={"action": "Stop"})
    kafka_broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    world.produce([("a", {"n": n, "poison": n == 0}) for n in range(10)], partition=0)
    with consuming(world) as running:
        until("it stands", lambda: len(letters(world)) == 1)
        hidden = hide({"bootstrap.servers": kafka_broker.bootstrap_servers}, world.config.topics.retry)
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        look_often(world, 1)
        hidden.abort_transaction(PATIENCE)
        until("all of them", lambda: len(numbers(world, "a")) == 10)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(10))


MOVES_LATER = """
import os, pathlib, time
from headrace.letters import sequences
from headrace.worker import ownership
folder = pathlib.Path(os.environ["EFFECTS"]).parent
move, ask = sequences._move, ownership.Ownership._ask

def later(*about):
    (folder / "moves").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    try:
        move(*about)
    finally:
        (folder / "moved").touch()

def slow(*about):
    while not (folder / "moved").exists():
        time.sleep(0.05)
    return ask(*about)

sequences._move, ownership.Ownership._ask = later, slow
"""
"""Followers are moved back once the file `go` is there; that the group has others, it learns after that."""

TELLS_NOTHING = "from headrace.worker import commits; commits.EVERY = commits.AFTER = 10**9"


def left_behind(world: World) -> None:
    """Have a process killed behind which nine records of a key wait for one that is discarded."""
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(10)])
    with consuming(world) as running:
        until("all of them", lambda: len(letters(world)) == 10)
        until("committed", lambda: world.committed() == {0: 10})
        running.process.kill()
    assert discard_heads(world) == 1


def test_who_stood_still_moves_back_nothing_of_what_is_another_s(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It had read what waits, and goes on with that when another process has handled it all."""
    world = make(kafka_broker, tmp_path)
    left_behind(world)
    with consuming(world, before=MOVES_LATER) as first:
        until("it is about to", (tmp_path / "moves").exists)
        first.process.send_signal(signal.SIGSTOP)
        with consuming(world) as second:
            until("all of them", lambda: numbers(world, "a") == list(range(1, 10)))
            live(world, second)
            world.produce([("a", {"n": n}) for n in range(10, 20)])
            until("what comes", lambda: len(numbers(world, "a")) == 19)
            (tmp_path / "go").touch()
            first.process.send_signal(signal.SIGCONT)
            until("it has gone on", (tmp_path / "moved").exists)
            world.produce([("a", {"n": 20})])
            until("the last one", lambda: 20 in numbers(world, "a"))
            live(world, second)
            assert first.stop() == second.stop() == 0
    assert numbers(world, "a") == list(range(1, 21))


def test_what_was_moved_back_is_not_moved_again_where_that_shows_late(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Somebody's open transaction hides what became of it; that it comes a second time is for want of a commit."""
    world = make(kafka_broker, tmp_path)
    left_behind(world)
    with consuming(world, before=MOVES_LATER + TELLS_NOTHING) as running:
        until("it is about to", (tmp_path / "moves").exists)
        hidden = hide({"bootstrap.servers": kafka_broker.bootstrap_servers}, world.config.topics.resolutions)
        (tmp_path / "go").touch()
        until("all of them", lambda: numbers(world, "a") == list(range(1, 10)))
        running.process.kill()
    with consuming(world) as running:
        until("the next", lambda: "not read, nor are its sources" in running.said or len(numbers(world, "a")) == 27)
        hidden.abort_transaction(PATIENCE)
        until("once more", lambda: len(numbers(world, "a")) >= 18)
        live(world, running)
        assert running.stop() == 0
    assert set(Counter(numbers(world, "a")).values()) == {2}


LOOKS_LATE = """
import os, pathlib, time
from headrace.worker import sequences
folder, work = pathlib.Path(os.environ["EFFECTS"]).parent, sequences.work

def late(*about):
    (folder / "looks").touch()
    while not (folder / "go").exists():
        time.sleep(0.05)
    return work(*about)

sequences.work = late
"""
"""Its first look at resolutions, for the first key that waits, ends once the file `go` is there."""


def test_what_is_resolved_while_others_are_looked_at_is_noticed(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """A second key fails and is discarded, both after it was said for which ones to look."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": 0, "reject": True}), ("a", {"n": 1})])
    with consuming(world, before=LOOKS_LATE) as running:
        until("it looks", (tmp_path / "looks").exists)
        world.produce([("b", {"n": 0, "reject": True}), ("b", {"n": 1})])
        until("both keys", lambda: len(letters(world)) == 4)
        assert discard_heads(world) == 2
        (tmp_path / "go").touch()
        until("the second key", lambda: numbers(world, "b") == [1])
        live(world, running)
        assert running.stop() == 0


def test_what_waits_behind_an_open_transaction_is_not_left_behind(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It is open in the topic of dead letters as the head of a key is discarded, whose followers lie behind it."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": 0, "reject": True})])
    with consuming(world) as running:
        until("the head", lambda: len(letters(world)) == 1)
        hidden = hide({"bootstrap.servers": kafka_broker.bootstrap_servers}, world.config.topics.dead_letters)
        world.produce([("a", {"n": n}) for n in range(1, 10)])
        until("committed", lambda: world.committed() == {0: 10})
        assert discard_heads(world) == 1
        look_often(world, 0)
        world.produce([("a", {"n": n}) for n in range(10, 20)])
        until("they wait", lambda: "a transaction is open" in running.said or numbers(world, "a"))
        hidden.abort_transaction(PATIENCE)
        until("all of them", lambda: len(numbers(world, "a")) == 19)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(1, 20))
