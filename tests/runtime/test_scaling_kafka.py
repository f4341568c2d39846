"""Consumer processes that come and go while the buffer of each is full: order, nothing lost, nothing stands still."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from headrace.flow.budget import HIGH
from headrace_operator.plan import consumption
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PARTITIONS, KEYS, RECORDS = 12, 200, 14_000
AT_ONCE = 8
FAILING = [f"f{number}" for number in range(5)]
"""Keys whose first record fails many times: it is in back-off in each hand-over, with others of its key behind it."""

PATIENT = {"attempts": 100_000, "initial": 0.05, "factor": 2, "max": 1}


class Effects:
    """The effects of all processes so far, read once each: thousands of lines are too many to read again and again."""

    def __init__(self, world: World) -> None:
        self._file = world.folder / "effects"
        self._at = 0
        self.numbers: list[tuple[str, int]] = []
        self.pids: set[int] = set()
        self.distinct: set[int] = set()

    def read(self) -> Effects:
        """Take in what was written since."""
        for line in self._lines():
            effect = json.loads(line)
            if effect["what"] == "done":
                number = json.loads(effect["value"])["n"]
                self.numbers.append((effect["key"], number))
                self.distinct.add(number)
                self.pids.add(effect["pid"])
        return self

    def _lines(self) -> Iterator[bytes]:
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._at)
            whole, _, _ = file.read().rpartition(b"\n")
        self._at += len(whole) + 1 if whole else 0
        yield from whole.splitlines()

    @property
    def again(self) -> int:
        """How many were deliveries of a record that had its effect already."""
        return len(self.numbers) - len(self.distinct)


def is_paused(running: Running) -> bool:
    """Whether the process has paused its partitions because its buffer is full."""
    return running.get("/readyz")[0] == 200 and running.metric("headrace_consumer_paused_partitions") > 0


def assert_in_order(effects: Effects) -> None:
    """Each key's effects are its records in order; a redelivery goes back and comes again in order from there."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for key, number in effects.numbers:
        by_key[key].append(number)
    for key, numbers in by_key.items():
        rank = {number: place for place, number in enumerate(sorted(set(numbers)))}
        steps = [rank[after] - rank[before] for before, after in pairwise(numbers)]
        assert rank[numbers[0]] == 0, f"{key} did not begin with its first record"
        assert all(step <= 1 for step in steps), f"{key} skipped a record"


class Work:
    """Records of which one key has many, and some take long, so that members give away at different times."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = random.Random(4)
        self.count = 0

    def add_failing(self) -> None:
        """Produce keys that come right after sixty attempts."""
        keys = FAILING * 20
        failing = len(FAILING)
        self._world.produce([(key, {"n": n, "fail": 60 * (n < failing)}) for n, key in enumerate(keys, self.count)])
        self.count += len(keys)

    def add(self, count: int) -> None:
        """Produce so many more."""
        numbers = range(self.count, self.count + count)
        self._world.produce([(self._key(), {"n": n, "sleep": 0.4 if n % 150 == 0 else 0.008}) for n in numbers])
        self.count += count

    def keep(self, effects: Effects) -> None:
        """Let there be as much to do as at the beginning, however quick the processes are."""
        done = len(effects.read().distinct)
        if self.count - done < RECORDS - 1000:
            self.add(RECORDS - (self.count - done))

    def _key(self) -> str:
        return f"k{self._draw.randrange(KEYS) if self._draw.random() < 0.94 else 0}"


def test_one_two_four_one_processes_with_full_buffers(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS, concurrency=AT_ONCE, retry=PATIENT)
    work, effects = Work(world), Effects(world)
    work.add_failing()
    work.add(RECORDS)

    def at_work(processes: int) -> bool:
        work.keep(effects)
        return len(effects.pids) == processes

    with ExitStack() as stack:
        first = stack.enter_context(consuming(world))
        until("paused partitions", lambda: is_paused(first))
        second = stack.enter_context(consuming(world))
        until("two at work", lambda: at_work(2))
        until("paused partitions", lambda: is_paused(first) or is_paused(second))
        others = [second, *(stack.enter_context(consuming(world)) for _ in range(2))]
        until("four at work", lambda: at_work(4))
        share = len(effects.distinct) + 1000
        until("more by four", lambda: len(effects.read().distinct) > share)
        for other in others:
            other.process.terminate()
        assert [other.process.wait(timeout=45) for other in others] == [0, 0, 0]
        until("all", lambda: len(effects.read().distinct) == work.count)
        until("all committed", lambda: sum(world.committed().values()) == work.count)
        assert first.stop() == 0
    assert_in_order(effects)
    assert effects.again == 0


def test_stopped_under_full_load_it_hands_over_what_runs(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS, concurrency=AT_ONCE, retry=PATIENT)
    work, effects = Work(world), Effects(world)
    work.add_failing()
    work.add(HIGH + 2000)
    with consuming(world) as first:
        until("paused partitions", lambda: is_paused(first))
        first.process.terminate()
        assert first.process.wait(timeout=consumption.GRACE) == 0
    assert len(effects.read().distinct) < HIGH
    with consuming(world) as second:
        until("all", lambda: len(effects.read().distinct) == work.count)
        assert second.stop() == 0
    assert_in_order(effects)
    assert effects.again == 0


@pytest.mark.case("delivery-3")
def test_a_key_with_a_long_queue_does_not_hold_up_a_hand_over(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Its queue takes longer than a rebalance waits, and records of other keys beyond it are finished already."""
    world = make_world(kafka_broker, tmp_path, partitions=2, concurrency=AT_ONCE)
    busy = [("busy", {"n": n, "sleep": 0.1}) for n in range(200)]
    world.produce([*busy, *((f"k{n % 20}", {"n": n}) for n in range(200, 400))])
    effects = Effects(world)
    with consuming(world) as first:
        until("the others of the busy key's partition", lambda: len(effects.read().distinct) > 200)
        with consuming(world) as second:
            until("all", lambda: len(effects.read().distinct) == 400)
            assert second.stop() == 0
        assert first.stop() == 0
    assert_in_order(effects)
    assert effects.again == 0
    assert "still run" not in first.log.read_text()
