"""Attempts are counted through whatever becomes of the process that makes them, and so is the time until the next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace import headers
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import until

pytestmark = pytest.mark.slow

THREE = {"attempts": 3, "initial": 6, "factor": 1, "max": 6}
HOUR = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600, "max_in_memory": 3600}


def attempts(world: World, key: str) -> list[int]:
    """The numbers of the attempts at the one record of a key."""
    return [int(str(one["attempt"])) for one in world.effects("begin") if one["key"] == key]


def await_told(world: World, key: str, attempt: int) -> None:
    """Wait until a commit tells that this attempt is the next, and what was done beside; or until it has begun.

    It has where the machine stood still for longer than the back-off.
    """

    def is_told() -> bool:
        known = world.map()
        told = known and known.done and any(one.attempt >= attempt for one in known.tried.values())
        return bool(told) or attempt in attempts(world, key)

    until(f"attempt {attempt} told", is_told)


@pytest.mark.case("delivery-10")
@pytest.mark.parametrize("partitions", [pytest.param(1, marks=pytest.mark.sweep), 4])
def test_three_attempts_are_three_through_rebalances(
    kafka_broker: KafkaBroker, tmp_path: Path, partitions: int
) -> None:
    """In each back-off of six seconds another process comes or goes, also where the partition stays where it is."""
    world = make_world(kafka_broker, tmp_path, partitions=partitions, retry=THREE)
    world.produce([("bad", {"after": 6})], partition=0)
    with consuming(world) as first:
        until("the first attempt", lambda: attempts(world, "bad"))
        with consuming(world) as second:
            until("a rebalance", lambda: second.get("/readyz")[0] == 200)
            until("the second attempt", lambda: len(attempts(world, "bad")) >= 2)
            assert second.stop() == 0
        (letter,) = world.dead_letters(1)
        said = headers.decode(letter.headers() or ())
        assert (said.last_failed_at or 0) - (said.first_failed_at or 0) > 10_000
        until("nothing left", lambda: world.committed().get(0) == 1)
        assert first.stop() == 0
    assert attempts(world, "bad") == [1, 2, 3]
    assert headers.decode(letter.headers() or ()).attempts == 3


@pytest.mark.case("delivery-10")
@pytest.mark.parametrize("orderly", [True, False])
def test_attempts_go_on_after_a_restart(kafka_broker: KafkaBroker, tmp_path: Path, orderly: bool) -> None:
    """After each attempt the process is stopped or killed; with it records of other keys, one of them without a key.

    One that is killed must be so within its back-off. That is over when the group takes it for gone.
    """
    back_off = 6 if orderly else 40
    world = make_world(kafka_broker, tmp_path, partitions=1, retry={**THREE, "max": back_off, "max_in_memory": 60})
    world.produce([("x", {"n": 1}), ("bad", {"after": back_off}), (None, {"n": 2}), ("bad", {"n": 3})])
    for attempt in (1, 2):
        with consuming(world) as running:
            await_told(world, "bad", attempt + 1)
            if orderly:
                assert running.stop() == 0
    with consuming(world) as last:
        (letter,) = world.dead_letters(1)
        until("the record behind it", lambda: len(world.effects()) == 3)
        assert last.stop() == 0
    assert attempts(world, "bad") == [1, 2, 3, 1]
    assert headers.decode(letter.headers() or ()).attempts == 3
    assert json.loads(str(world.effects()[-1]["value"])) == {"n": 3}


@pytest.mark.case("delivery-10")
def test_a_record_in_a_long_back_off_is_not_tried_at_once_by_its_next_owner(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Many of them would be a storm after each hand-over; so few among others are no target that is away."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    world.produce([(f"k{n}", {"after": 3600} if n % 8 == 0 else {"n": n}) for n in range(64)])
    with consuming(world) as first:
        until("all failed", lambda: world.told().retrying == 8)
        assert first.stop() == 0
    with consuming(world) as second:
        world.produce([("good", {"n": 1})])
        until("the good one", lambda: len(world.effects()) == 57)
        until("all wait", lambda: world.told().retrying == 8)
        until("it is measured", lambda: second.metric("headrace_consumer_retrying_keys") == 8)
        assert second.stop() == 0
    assert len(world.effects("begin")) == 65


@pytest.mark.case("delivery-10")
def test_the_longest_age_goes_on_with_the_next_owner(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Attempts two seconds apart, at most five from the first on, and a restart between them."""
    retry = {"attempts": 100, "initial": 2, "factor": 1, "max": 2, "max_age": 5}
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=retry)
    world.produce([("old", {"after": 2}), ("new", {"n": 1})])
    with consuming(world) as first:
        await_told(world, "old", 2)
        assert first.stop() == 0
    with consuming(world) as second:
        (letter,) = world.dead_letters(1)
        until("nothing left", lambda: world.committed() == {0: 2})
        assert second.stop() == 0
    said = headers.decode(letter.headers() or ())
    assert said.reason == "expired"
    assert 2 <= (said.attempts or 0) <= 3
    assert (said.last_failed_at or 0) - (said.first_failed_at or 0) > 1_000
