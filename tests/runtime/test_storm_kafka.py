"""Rebalance storms with slow handlers and full buffers, by both group protocols.

What the group has committed is judged by Kafka's own log of it: every commit that the broker ever accepted.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from headrace import config as contract
from headrace.config import GroupProtocol
from headrace.flow import offset_map
from headrace.flow.budget import HIGH
from headrace.flow.offset_map import OffsetMap
from headrace.progress import LONGEST, Progress, encode
from tests.kafka_broker import KafkaBroker
from tests.runtime.commit_log import Commit, commits, taken_back
from tests.runtime.consumer_process import Running, World, consuming, make_world, write_commit
from tests.runtime.history import History, violations
from tests.runtime.test_scaling_kafka import Effects, is_paused
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PARTITIONS, KEYS, AT_ONCE, MANY = 12, 200, 8, 8

SLOW = """
import os, time
from effects_handler import note

def handle(record):
    if os.path.exists(os.environ["EFFECTS"] + ".slow"):
        time.sleep(3 if record.offset % 30 == 0 else 0.2)
    note("done", record)
"""


class Storm:
    """Pods that come and go, each with more to do than it reads, as a record takes a fifth of a second, some three."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self.stack = stack
        self.effects = Effects(world)
        self.produced: dict[int, str] = {}
        self._slow = world.folder / "effects.slow"
        self._slow.touch()

    def feed(self) -> None:
        """Let there be more to do than one pod reads ahead."""
        missing = HIGH + 1_000 - (len(self.produced) - len(self.effects.read().distinct))
        if missing > 1_000 or not self.produced:
            numbers = range(len(self.produced), len(self.produced) + missing)
            keys = {number: f"k{number % KEYS}" for number in numbers}
            self.world.produce([(key, {"n": number}) for number, key in keys.items()])
            self.produced |= keys

    def start(self, count: int) -> list[Running]:
        """Start so many pods more, and wait until each has done something."""
        before = len(self.effects.pids)
        started = [self.stack.enter_context(consuming(self.world)) for _ in range(count)]
        until(f"{count} more at work", lambda: self._work(before + count))
        return started

    def is_full(self, pod: Running) -> bool:
        """Whether a pod reads no more, as it has enough."""
        self.feed()
        return is_paused(pod)

    def _work(self, pids: int) -> bool:
        self.feed()
        return len(self.effects.pids) >= pids

    def stop(self, pods: list[Running]) -> None:
        """Stop pods, all at once."""
        for one in pods:
            one.process.terminate()
        assert [one.process.wait(PATIENCE) for one in pods] == [0] * len(pods)

    def go_on(self) -> None:
        """Wait until more is done."""
        enough = len(self.effects.distinct) + 100
        until("more done", lambda: len(self.effects.read().distinct) > enough)

    def calm(self) -> None:
        """Let all that is left be done quickly, and committed."""
        self._slow.unlink()
        until("all", lambda: len(self.effects.read().distinct) == len(self.produced))
        until("all committed", lambda: sum(self.world.committed().values()) == len(self.produced))


@pytest.mark.parametrize("protocol", [pytest.param("classic", marks=pytest.mark.sweep), "consumer"])
def test_a_storm_takes_no_commit_back_and_leaves_nothing_paused(
    kafka_broker: KafkaBroker, tmp_path: Path, protocol: GroupProtocol
) -> None:
    """One, eight and one; then two pods between which partitions go there and back, three times.

    Before the first pod somebody else has committed, with metadata of their own.
    """
    world = slow_world(kafka_broker, tmp_path, protocol)
    write_commit(world, 0, metadata="kept by another tool")
    with ExitStack() as stack:
        storm = Storm(world, stack)
        storm.feed()
        (first,) = storm.start(1)
        until("a full buffer", lambda: storm.is_full(first))
        storm.stop(storm.start(MANY - 1))
        storm.go_on()
        for _ in range(3):
            storm.stop(storm.start(1))
        storm.go_on()
        storm.calm()
        until("nothing paused", lambda: first.metric("headrace_consumer_paused_partitions") == 0)
        assert first.stop() == 0
    assert violations(History(produced=storm.produced, effects=storm.effects.taken)) == []
    found = commits(kafka_broker, world.config.group)
    assert taken_back(found) == []
    assert any(one.done for one in found)


def slow_world(broker: KafkaBroker, folder: Path, protocol: GroupProtocol) -> World:
    """Make a Consumer whose handler is slow while it is told to be."""
    world = make_world(broker, folder, partitions=PARTITIONS, protocol=protocol, concurrency=AT_ONCE)
    (folder / "code" / "slow_handler.py").write_text(SLOW)
    python = contract.Python(function="slow_handler:handle", path=str(folder / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


AT = ("orders", 0)
DONE = encode(Progress(map=offset_map.encode(OffsetMap(at=5, done=((7, 9),)), LONGEST)))


@pytest.mark.parametrize(
    ("offset", "says"),
    [(4, "was committed at 4 after 5"), (5, "no longer says that [7, 8] are done"), (8, "that [8] are done")],
)
def test_a_commit_that_takes_something_back_is_found(offset: int, says: str) -> None:
    """By its offset, or by what is done beyond it; what the offset has passed is done anyway."""
    told = Commit(AT, 5, DONE)
    assert taken_back([told, Commit(("orders", 1), 0, ""), Commit(AT, 9, "")]) == []
    assert says in taken_back([told, Commit(AT, offset, "")])[0]
