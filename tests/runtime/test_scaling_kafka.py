"""Consumer processes that come and go while the buffer of each is full: order, nothing lost, nothing stands still."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from headrace.flow.budget import HIGH
from tests import lines
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import HANDLER, Running, World, consuming, counted, make_world, patient, taken
from tests.runtime.history import Effect, History, violations
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

PARTITIONS, KEYS, RECORDS = 12, 200, 14_000
AT_ONCE, STANDING, GOING = 8, 6, 100
FAILING = [f"f{number}" for number in range(5)]
"""Keys whose first record fails until all hand-overs are over, with others of its key behind it."""

SLEEP = 'time.sleep(wish.get("sleep", 0))'
WAIT = """while not os.path.exists(wish.get("until", "/")):
        time.sleep(0.05)"""
PATIENT = {"attempts": 100_000, "initial": 0.05, "factor": 2, "max": 1}


class Effects:
    """The effects of all processes so far, read once each: thousands of lines are too many to read again and again."""

    def __init__(self, world: World) -> None:
        self._noted = lines.Growing(world.folder / "effects")
        self._read = 0
        self.taken: list[Effect] = []
        self.pids: set[int] = set()
        self.distinct: set[int] = set()

    def read(self) -> Effects:
        """Take in what was written since."""
        noted = self._noted.events()
        for effect in noted[self._read :]:
            if effect["what"] == "done":
                self.taken.append(taken(effect))
                self.distinct.add(self.taken[-1].number)
                self.pids.add(effect["pid"])
        self._read = len(noted)
        return self


def is_paused(running: Running) -> bool:
    """Whether the process has paused its partitions because its buffer is full."""
    return running.get("/readyz")[0] == 200 and counted(running, "paused_partitions", reason="full") > 0


class Work:
    """Records of which one key has many, and some take long, so that members give away at different times."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = random.Random(4)
        self._produced: dict[int, str] = {}
        self._let_go = world.folder / "let-go"

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._produced)

    def add_failing(self) -> None:
        """Produce keys that fail until they are let go."""
        keys, failing = FAILING * 20, len(FAILING)
        self._add([(key, {"until": str(self._let_go)} if place < failing else {}) for place, key in enumerate(keys)])

    def let_go(self) -> None:
        """Let the keys come right."""
        self._let_go.touch()

    def retries(self) -> bool:
        """Whether all that fails is told to be tried again, so that whoever goes or comes hands it over."""
        return sum(self._world.told(number).retrying for number in range(PARTITIONS)) == len(FAILING)

    def add(self, count: int) -> None:
        """Produce so many more."""
        numbers = range(self.count, self.count + count)
        self._add([(self._key(), {"sleep": 0.4 if number % 150 == 0 else 0.008}) for number in numbers])

    def assert_well(self, effects: Effects) -> None:
        """Fail unless all was done in order, and nothing twice, as nobody was killed."""
        assert violations(History(produced=self._produced, effects=effects.taken)) == []

    def _add(self, records: Sequence[tuple[str, dict[str, object]]]) -> None:
        numbered = list(enumerate(records, self.count))
        self._world.produce([(key, {"n": number, **wish}) for number, (key, wish) in numbered])
        self._produced |= {number: key for number, (key, _) in numbered}

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

    def one_is_paused(*pods: Running) -> bool:
        work.keep(effects)
        return any(is_paused(pod) for pod in pods)

    with ExitStack() as stack:
        first = stack.enter_context(consuming(world))
        until("paused partitions", lambda: one_is_paused(first))
        until("keys that fail", work.retries)
        second = stack.enter_context(consuming(world))
        until("two at work", lambda: at_work(2))
        until("paused partitions", lambda: one_is_paused(first, second))
        others = [second, *(stack.enter_context(consuming(world)) for _ in range(2))]
        until("four at work", lambda: at_work(4))
        share = len(effects.distinct) + 1000
        until("more by four", lambda: len(effects.read().distinct) > share)
        until("keys that fail", work.retries)
        for other in others:
            other.process.terminate()
        assert [other.process.wait(PATIENCE) for other in others] == [0, 0, 0]
        until("keys that fail", work.retries)
        work.let_go()
        until("all", lambda: len(effects.read().distinct) == work.count)
        until("all committed", lambda: sum(world.committed().values()) == work.count)
        assert first.stop() == 0
    work.assert_well(effects)


def test_stopped_under_full_load_it_hands_over_what_runs(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=PARTITIONS, concurrency=AT_ONCE, retry=PATIENT)
    work, effects = Work(world), Effects(world)
    work.add_failing()
    with consuming(world) as first:
        until("keys that fail", work.retries)
        work.add(RECORDS)
        until("paused partitions", lambda: is_paused(first))
        first.process.terminate()
        assert first.process.wait(PATIENCE) == 0
    assert len(effects.read().distinct) < work.count
    with consuming(world) as second:
        until("keys that fail", work.retries)
        work.let_go()
        until("all", lambda: len(effects.read().distinct) == work.count)
        assert second.stop() == 0
    work.assert_well(effects)


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
    produced = {n: "busy" if n < 200 else f"k{n % 20}" for n in range(400)}
    assert violations(History(produced=produced, effects=effects.taken)) == []
    assert "still run" not in first.log.read_text()


def test_a_key_with_more_records_than_are_read_ahead_does_not_keep_other_partitions_from_being_read(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=2, concurrency=AT_ONCE)
    waits = HANDLER.replace(SLEEP, WAIT)
    (tmp_path / "code" / "effects_handler.py").write_text(waits)
    let_go = tmp_path / "let-go"
    world.produce([("busy", {"n": n, "until": str(let_go)}) for n in range(HIGH + 1500)], partition=0)
    effects = Effects(world)
    with consuming(world, patient(world)) as running:
        until("a ready process", lambda: running.get("/readyz")[0] == 200)
        until("more than is read ahead", lambda: running.metric("headrace_consumer_waiting_records") >= HIGH)
        world.produce([("other", {"n": HIGH + 1500})], partition=1)
        until("the other key", lambda: effects.read().distinct == {HIGH + 1500})
        let_go.touch()
        until("all", lambda: len(effects.read().distinct) == HIGH + 1501)
        assert running.stop() == 0


@pytest.mark.parametrize(("count", "length"), [(500, 100_000), (8_000, 5_000)], ids=["heavy", "many"])
def test_keys_that_stand_with_more_records_than_fit_do_not_keep_other_partitions_from_being_read(
    kafka_broker: KafkaBroker, tmp_path: Path, count: int, length: int
) -> None:
    """They fill the memory; what comes then of the other partition has its share beside."""
    world = make_world(kafka_broker, tmp_path, partitions=2, concurrency=2 * AT_ONCE)
    waits = HANDLER.replace(SLEEP, WAIT)
    (tmp_path / "code" / "effects_handler.py").write_text(waits)
    let_go, filling = tmp_path / "let-go", [("filling", b"x" * length)]
    keys = {n: f"{'goes' if n < GOING else 'stands'}-{n % STANDING}" for n in range(GOING + count)}
    stands = [(keys[n], {"n": n, "until": str(let_go)}) for n in range(GOING, GOING + count)]
    world.produce(stands, partition=0, headers=filling)
    effects = Effects(world)
    with consuming(world, patient(world)) as running:
        until("a ready process", lambda: running.get("/readyz")[0] == 200)
        until("most of what fits", lambda: running.metric("headrace_consumer_waiting_records") >= 0.6 * count)
        until("full memory", lambda: is_paused(running))
        world.produce([(keys[n], {"n": n}) for n in range(GOING)], partition=1, headers=filling)
        until("all of the other partition", lambda: effects.read().distinct == set(range(GOING)))
        let_go.touch()
        until("all", lambda: len(effects.read().distinct) == len(keys))
        assert running.stop() == 0
    assert violations(History(produced=keys, effects=effects.taken)) == []
