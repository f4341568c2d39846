"""A consumer whose target is away, or poisoned, or may be asked only so often; and what order it is asked in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest

from headrace import config as contract
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.runtime.history import History, violations
from tests.runtime.http_target import Fault, Target, serving
from tests.waiting import until

pytestmark = pytest.mark.slow

KEYS = 40


FAILS = "the target fails"
BRIEF = {"attempts": 2, "initial": 0.05, "max": 0.2}


def pushed(
    broker: KafkaBroker, folder: Path, port: int, *, timeout: float = 20, retry: object = BRIEF, **more: Any
) -> World:
    world = make_world(broker, folder, retry=retry, **more)
    handler = contract.Handler(http=contract.Http(url=f"http://127.0.0.1:{port}/", timeout=timeout))
    config = world.config.model_copy(update={"handler": handler})
    return World(broker=broker, config=config, folder=folder)


@contextmanager
def running_for(world: World) -> Iterator[Running]:
    """Run a process of the Consumer, once it serves."""
    with consuming(world) as running:
        until("the process serving", lambda: running.get("/metrics")[0] == 200)
        yield running


def produce(world: World, count: int) -> None:
    world.produce([(f"k{number % KEYS}", number) for number in range(count)])


def took(target: Target) -> int:
    return len({effect.number for effect in target.taken})


def assert_in_order(target: Target, count: int, spared: Collection[int] = ()) -> None:
    """Fail unless each of ``count`` records but those of ``spared`` keys was taken once, in order of its key."""
    keys = {number: number % KEYS for number in range(count)}
    produced = {number: f"k{key}" for number, key in keys.items() if key not in spared}
    assert violations(History(produced=produced, effects=target.taken)) == []


def is_open(running: Running) -> bool:
    return running.metric("headrace_consumer_circuit_open") == 1


def test_a_target_that_is_away_costs_no_record_an_attempt(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """With two attempts allowed, and a target that refuses connections for far longer than those take."""
    port = free_port()
    world = pushed(kafka_broker, tmp_path, port)
    with running_for(world) as running:
        produce(world, 400)
        until("the circuit opening", lambda: is_open(running))
        until("a probe failing", lambda: running.metric("headrace_consumer_attempts_total", outcome="frozen") > 0)
        letters = running.metric("headrace_consumer_dead_letters_total")
        with serving(port, set()) as target:
            until("every record", lambda: took(target) == 400 - int(letters))
            until("the circuit closing", lambda: not is_open(running))

        assert letters == 0
        assert_in_order(target, 400)
        assert running.metric("headrace_consumer_dead_letters_total") == 0
        until("both to be said", lambda: all(one in running.said for one in (FAILS, "the target answers again")))


@pytest.mark.parametrize("fault", get_args(Fault))
def test_however_a_target_fails_no_attempt_counts_and_all_goes_on_by_itself(
    kafka_broker: KafkaBroker, tmp_path: Path, fault: Fault
) -> None:
    """Without a dead letter and without a rebalance; afterwards with one record alone at first."""
    port = free_port()
    world = pushed(kafka_broker, tmp_path, port, timeout=10, retry={"attempts": 2, "initial": 0.05, "max": 10})
    with serving(port, set()) as target, running_for(world) as running:
        produce(world, KEYS)
        until("those before", lambda: took(target) == KEYS)
        target.fail(fault)
        produce(world, 400)
        until("the circuit opening", lambda: is_open(running))
        until("a probe failing", lambda: running.metric("headrace_consumer_attempts_total", outcome="frozen") > 0)
        before = len(target.beside)
        target.recover()
        until("every record", lambda: took(target) == 400 and len(target.taken) >= KEYS + 400)
        until("the circuit closing", lambda: not is_open(running))

        assert target.beside[before] == 0
        assert running.metric("headrace_consumer_dead_letters_total") == 0
        assert running.metric("headrace_consumer_rebalances_total") == 1
        assert running.stop() == 0


def test_a_target_that_answers_everything_with_500_is_away_too(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    port = free_port()
    world = pushed(kafka_broker, tmp_path, port)
    with serving(port, None) as target, running_for(world) as running:
        produce(world, 400)
        until("the circuit opening", lambda: is_open(running))
        until("a probe failing", lambda: running.metric("headrace_consumer_attempts_total", outcome="frozen") > 0)
        target.refuses = set()
        until("every record", lambda: took(target) + running.metric("headrace_consumer_dead_letters_total") == 400)

        assert running.metric("headrace_consumer_dead_letters_total") <= world.config.delivery.concurrency


def test_a_few_keys_that_always_fail_are_dead_lettered_and_stop_nobody(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    port = free_port()
    world = pushed(kafka_broker, tmp_path, port)
    with serving(port, {"k1", "k2", "k3"}) as target, running_for(world) as running:
        produce(world, 400)
        letters = world.dead_letters(30)
        until("every other record", lambda: took(target) == 370)
        assert_in_order(target, 400, spared=(1, 2, 3))

        assert {letter.key() for letter in letters} == {b"k1", b"k2", b"k3"}
        assert FAILS not in running.log.read_text()


def test_no_second_has_more_attempts_than_the_rate(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    port = free_port()
    world = pushed(kafka_broker, tmp_path, port, rate={"per_second": 20})
    with serving(port, set()) as target, consuming(world):
        produce(world, 100)
        until("every record", lambda: took(target) == 100)
    assert_in_order(target, 100)

    ends = [sum(start <= time < start + 1 for time in target.times) for start in target.times]
    assert max(ends) <= 20 * 1.5
    assert target.times[-1] - target.times[0] >= 100 / 20 - 1


def test_without_an_order_a_record_that_fails_holds_nothing_back(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, order="None", retry={"attempts": 9, "initial": 60, "max": 60})
    with consuming(world):
        world.produce([("a", {"after": 3600, "n": 0}), *(("a", {"n": number}) for number in range(1, 20))])
        until("the others of its key", lambda: len(world.effects()) == 19)


def test_in_order_of_the_partition_one_record_waits_for_another_of_any_key(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1, order="Partition")
    with consuming(world):
        world.produce([("a", {"fail": 2, "n": 0}), *((f"k{number}", {"n": number}) for number in range(1, 20))])
        until("all records", lambda: len(world.effects()) == 20)

    assert [effect["position"] for effect in world.effects()] == [[world.source, 0, number] for number in range(20)]
