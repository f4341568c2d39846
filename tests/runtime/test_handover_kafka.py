"""What is finished stays finished when a partition changes hands: by an orderly stop, a rebalance, or `kill -9`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from headrace.config import GroupProtocol
from headrace.progress import encode
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world, write_commit
from tests.waiting import until

pytestmark = pytest.mark.slow

HOUR = {"attempts": 4, "initial": 3600, "factor": 2, "max": 3600, "max_in_memory": 3600}


def done(world: World) -> Counter[int]:
    """How often each numbered record had its effect."""
    return Counter(json.loads(str(effect["value"]))["n"] for effect in world.effects())


def rest(running: Running, world: World, count: int) -> None:
    """Wait until so many effects are there and everything they are worth is committed."""
    until(f"{count} effects", lambda: len(done(world)) == count)
    until("all told", lambda: sum(world.told(n).done for n in world.committed()) + committed(world) >= count)
    assert running.process.poll() is None


def committed(world: World) -> int:
    """The sum of the committed offsets of the source."""
    return sum(world.committed().values())


@pytest.mark.case("delivery-3")
@pytest.mark.parametrize("count", [20_000])
def test_two_keys_in_back_off_and_an_orderly_restart(kafka_broker: KafkaBroker, tmp_path: Path, count: int) -> None:
    """Twenty thousand records are handled behind them, each once, through a stop and a start."""
    world = make_world(kafka_broker, tmp_path, partitions=1, concurrency=50, retry=HOUR)
    failing = [("a", {"n": -1, "fail": 9}), ("b", {"n": -2, "fail": 9})]
    world.produce([*failing, *((f"k{n % 997}", {"n": n}) for n in range(count))])
    with consuming(world) as first:
        until("all but two", lambda: len(done(world)) == count)
        assert first.stop() == 0
    assert world.told().done == count
    with consuming(world) as second:
        world.produce([("z", {"n": count})])
        until("one more", lambda: done(world)[count] == 1)
        until("both tell of it", lambda: world.told().done == count + 1)
        assert second.stop() == 0
    assert set(done(world).values()) == {1}


@pytest.mark.case("delivery-3")
@pytest.mark.parametrize("protocol", ["classic", pytest.param("consumer", marks=pytest.mark.sweep)])
def test_a_rebalance_repeats_nothing_that_is_finished(
    kafka_broker: KafkaBroker, tmp_path: Path, protocol: GroupProtocol
) -> None:
    """A second process comes and goes, in each partition a key in back-off, and records without a key between."""
    world = make_world(kafka_broker, tmp_path, partitions=4, protocol=protocol, retry=HOUR)
    failing: list[tuple[str | None, object]] = [(f"bad{n}", {"n": -1 - n, "fail": 9}) for n in range(9)]
    world.produce([*failing, *((None if n % 2 else f"k{n % 50}", {"n": n}) for n in range(2_000))])
    with consuming(world) as first:
        until("all", lambda: len(done(world)) == 2_000)
        with consuming(world) as second:
            until("shared", lambda: "assigned" in second.log.read_text())
            world.produce([(f"k{n % 50}", {"n": n}) for n in range(2_000, 2_500)])
            until("more", lambda: len(done(world)) == 2_500)
            assert second.stop() == 0
        world.produce([(f"k{n % 50}", {"n": n}) for n in range(2_500, 3_000)])
        rest(first, world, 3_000)
        assert first.stop() == 0
    assert set(done(world).values()) == {1}


@pytest.mark.case("delivery-3")
def test_after_kill_what_was_finished_a_while_ago_does_not_come_again(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """At most what was finished since the last commit may: of what has been told, nothing."""
    world = make_world(kafka_broker, tmp_path, partitions=2, retry=HOUR)
    bad: list[tuple[str | None, object]] = [("a", {"n": -1, "fail": 9}), ("b", {"n": -2, "fail": 9})]
    world.produce([*bad, *((f"k{n % 100}", {"n": n}) for n in range(3_000))])
    with consuming(world) as first:
        rest(first, world, 3_000)
        first.process.kill()
    with consuming(world) as second:
        world.produce([(f"k{n % 100}", {"n": n}) for n in range(3_000, 3_100)])
        rest(second, world, 3_100)
    assert set(done(world).values()) == {1}


@pytest.mark.case("delivery-3")
def test_a_map_of_a_topic_that_was_made_anew_makes_no_record_be_skipped(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Kafka forgets the offsets of a topic that is deleted; a commit that comes late would bring them back."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    world.produce([("a", {"n": 0, "fail": 9}), *((f"k{n}", {"n": n}) for n in range(1, 200))])
    with consuming(world) as first:
        rest(first, world, 199)
        assert first.stop() == 0
    said = encode(world.told())
    kafka_broker.make_anew(world.source)
    world.produce([(f"k{n}", {"n": n}) for n in range(1_000, 1_300)])
    write_commit(world, 0, metadata=said)
    with consuming(world) as second:
        until("all of the new", lambda: sum(n >= 1_000 for n in done(world)) == 300)
        until("said", lambda: second.metric("headrace_consumer_ignored_metadata_total") == 1)
        assert second.stop() == 0


@pytest.mark.case("delivery-3")
@pytest.mark.parametrize(
    "said",
    [
        "somebody else's",
        "h1 done=5 map=no_map",
        pytest.param("h2 map=x", marks=pytest.mark.sweep),
        pytest.param("x" * 4000, marks=pytest.mark.sweep),
    ],
)
def test_metadata_of_others_is_ignored_and_counted(kafka_broker: KafkaBroker, tmp_path: Path, said: str) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1)
    world.produce([(f"k{n}", {"n": n}) for n in range(20)])
    write_commit(world, 5, metadata=said)
    with consuming(world) as running:
        until("what is left", lambda: len(done(world)) == 15)
        assert running.metric("headrace_consumer_ignored_metadata_total") == 1
        assert running.stop() == 0
