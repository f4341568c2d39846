"""What real consumer processes tell of their load with the commits of a real broker: who, how busy, and since when."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from headrace import config as contract
from headrace.load import FULL, LoadReport
from headrace.worker.load import EVERY
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

COST = 0.2


def loads(world: World) -> dict[int, LoadReport]:
    """Return the reports by the number of the source's partition that tells them."""
    told = {number: world.told(number).load for number in world.committed()}
    return {number: load for number, load in told.items() if load is not None}


def pods(world: World) -> list[str]:
    return [load.pod for load in loads(world).values()]


def later(world: World, than: int) -> LoadReport | None:
    """Return the report of the first partition once it is of a window that ended later."""
    load = loads(world).get(0)
    return load if load and load.end > than else None


def working(world: World) -> LoadReport | None:
    """Return the report of the first partition once it tells of work: one that comes before any record is idle."""
    load = loads(world).get(0)
    return load if load and not load.idle else None


def two_of_eight(world: World, than: int) -> LoadReport | None:
    """Return a report of a later window that has two of eight hands in use, and could do forty of `COST` a second.

    Both are less where the machine is slow between two calls, or makes them longer; one that stood still shows another.
    """
    report = later(world, than)
    if report is None or not 0.3 * FULL * 2 / 8 < report.busy < 1.3 * FULL * 2 / 8:
        return None
    capacity = report.handled / (report.window / 1000) / (report.busy / FULL)
    return report if 0.3 * 8 / COST < capacity < 1.3 * 8 / COST else None


def test_what_a_process_could_handle_is_known_before_it_has_to(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Two keys keep two of its eight hands, and do ten records a second: so it could do forty."""
    world = make_world(kafka_broker, tmp_path, concurrency=8)
    world.produce([(f"k{n % 2}", {"n": n, "sleep": COST}) for n in range(3_000)])
    with consuming(world) as running:
        first = until("a report", lambda: later(world, 0))
        second = until("the next one", lambda: later(world, first.end))
        report = until("one of a window full of work", lambda: two_of_eight(world, second.end))
        assert report.pod == running.pod
        assert report.window >= EVERY * 1000
        assert (report.circuit, report.idle, report.parked) == ("closed", False, 0)


def test_each_process_tells_once_and_one_that_leaves_no_more(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """With the lowest partition it owns, by number and not by name: of 0 to 5 and 6 to 11."""
    world = make_world(kafka_broker, tmp_path, partitions=12)
    with consuming(world) as first:
        until("a report", lambda: pods(world) == [first.pod])
        with consuming(world) as second:
            until("two", lambda: sorted(loads(world)) == [0, 6] and len(set(pods(world))) == 2)
            before = first.metric("headrace_consumer_rebalances_total")
            assert second.stop() == 0
            until("all are given to it", lambda: first.metric("headrace_consumer_rebalances_total") > before)
            until("one again", lambda: list(loads(world)) == [0] and pods(world) == [first.pod])
            world.produce([(f"k{number}", {"n": number}) for number in range(200)])
            until("something to commit of each partition", lambda: world.lag() == 0)
        assert first.stop() == 0
    assert loads(world) == {}


LEAVES_AS_IT_IS_ASSIGNED = """
from headrace.worker.poll import Poller
begin, times = Poller._on_assigned, iter(range(10))
def leaves(self, partitions):
    begin(self, partitions)
    if next(times):
        self.stop()
Poller._on_assigned = leaves
"""
COMMITS_NOTHING = """
from headrace.worker import commits
commits.EVERY = commits.AFTER = 10**9
"""


def test_one_that_leaves_in_the_middle_of_a_rebalance_tells_no_more(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It has read nothing since, so that it commits nothing as it leaves; and nobody else commits."""
    world = make_world(kafka_broker, tmp_path, partitions=2)
    with consuming(world, before=LEAVES_AS_IT_IS_ASSIGNED) as first:
        until("a report", lambda: pods(world) == [first.pod])
        with consuming(world, before=COMMITS_NOTHING):
            assert first.process.wait(timeout=PATIENCE) == 0
            assert loads(world) == {}


def test_one_that_was_killed_tells_nothing_new_and_its_heir_takes_it_off(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1, retry={"attempts": 9, "initial": 3600, "max": 3600})
    world.produce([("a", {"after": 3600, "n": 0})])
    with consuming(world) as first:
        before = until("a report of work", lambda: working(world))
        until("the next, without progress", lambda: later(world, before.end))
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        last = loads(world)[0]
        time.sleep(2 * EVERY)
        assert loads(world)[0] == last
    with consuming(world) as second:
        until("the heir's", lambda: pods(world) == [second.pod])


def away_by(world: World) -> LoadReport | None:
    """Return the report of the first partition once it tells that the target is away."""
    load = loads(world).get(0)
    return load if load and load.circuit == "open" else None


def test_a_target_that_is_away_is_told(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1)
    handler = contract.Handler(http=contract.Http(url=f"http://127.0.0.1:{free_port()}/"))
    away = world.config.model_copy(update={"handler": handler})
    began = time.time()
    world.produce([(f"k{n}", {"n": n}) for n in range(40)])
    with consuming(world, away) as running:
        report = until("an open circuit", lambda: away_by(world))
        assert running.pod == report.pod
        assert report.cause == "builtins.ConnectionRefusedError"
        assert int(began) <= report.since <= report.end
        assert not report.idle
