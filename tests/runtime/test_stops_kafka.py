"""A partition that stands behind its dead letter, on a real broker: until that has a resolution, whatever restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from confluent_kafka import Producer

from headrace.cli import answers
from headrace.config import Config, GroupProtocol, Handler, Isolation, OnDeadLetter, Order
from headrace.progress import Stop
from tests.kafka_broker import KafkaBroker
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import HANDLER, Running, World, consuming, make_world
from tests.runtime.test_scaling_kafka import SLEEP, WAIT
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STOP = {"action": "Stop"}
GAUGE = "headrace_consumer_stopped_partitions"


def make(broker: KafkaBroker, folder: Path, protocol: GroupProtocol = "classic", order: Order = "Key") -> World:
    world = make_world(broker, folder, protocol=protocol, on_dead_letter=STOP, order=order)
    broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    return world


def put(world: World, partition: int, *values: tuple[str, object]) -> None:
    world.produce(values, partition=partition)


def handled(world: World, partition: int = 0) -> list[int]:
    """The numbers of the records of a partition that had their effect, in order."""
    of = [one for one in world.effects() if list(one["position"])[1] == partition]  # type: ignore[call-overload]
    return [json.loads(str(one["value"]))["n"] for one in of]


def stands(running: Running) -> bool:
    return running.get("/healthz")[0] == 200 and running.metric(GAUGE) == 1


def discard(world: World, place: str) -> None:
    """Say that nothing will become of a dead letter, as docs/by-hand.md does."""
    (shown, _) = ask(world, "dlq-show", place)
    assert isinstance(shown, answers.Found)
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    value = json.dumps({"action": "discarded", "by": "ada"})
    producer.produce(world.config.topics.resolutions, key=shown.opened.resolution_key, value=value)
    assert producer.flush(PATIENCE) == 0


def skipping(world: World) -> Config:
    """The contract of a Consumer that does not want to stop any more."""
    delivery = world.config.delivery.model_copy(update={"on_dead_letter": OnDeadLetter()})
    return world.config.model_copy(update={"delivery": delivery})


def test_its_partition_goes_no_further_until_it_is_put_back(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The others do; it survives a kill, and what was put back is handled before the rest, each record once."""
    world = make(kafka_broker, tmp_path)
    put(world, 0, ("a", {"n": 0}), ("a", {"n": 1, "poison": True}))
    with consuming(world) as running:
        until("the stop", lambda: stands(running))
        put(world, 0, *((f"k{n % 3}", {"n": n}) for n in range(2, 30)), ("a", {"n": 30}))
        put(world, 1, *((f"k{n % 3}", {"n": n}) for n in range(30)))
        until("the other partition", lambda: len(handled(world, 1)) == 30)
        until("readiness", lambda: running.get("/readyz")[0] == 200)
        until("its commit", lambda: world.committed().get(1) == 30)
        until("what is told", lambda: world.told().stopped == Stop(0, 0, 1))
        assert handled(world) == [0]
        running.process.kill()
    with consuming(world) as running:
        until("the stop", lambda: stands(running))
        put(world, 1, ("k", {"n": 30}))
        until("the other partition", lambda: len(handled(world, 1)) == 31)
        assert handled(world) == [0]
        assert ask(world, "redrive", "--offset=0/0")[-1] == answers.Done(count=1)
        until("the rest", lambda: len(handled(world)) == 31)
        until("no lag", lambda: world.lag() == 0)
        until("what is told", lambda: world.told().stopped is None)
        until("none stands", lambda: running.metric(GAUGE) == 0)
        assert running.stop() == 0
    assert handled(world)[:2] == [0, 1]
    assert sorted(handled(world)) == list(range(31))
    assert len(handled(world, 1)) == 31


@pytest.mark.parametrize("protocol", [pytest.param("classic", marks=pytest.mark.sweep), "consumer"])
def test_it_goes_on_after_a_discard_in_another_pod(
    kafka_broker: KafkaBroker, tmp_path: Path, protocol: GroupProtocol
) -> None:
    """It has moved meanwhile, and stood there as well."""
    world = make(kafka_broker, tmp_path, protocol=protocol)
    put(world, 0, ("a", {"n": 0, "reject": True}))
    with consuming(world) as first:
        until("the stop", lambda: stands(first))
        put(world, 0, *((f"k{n % 3}", {"n": n}) for n in range(1, 40)))
        with consuming(world) as second:
            until("two members", lambda: second.get("/readyz")[0] == 200)
            assert first.stop() == 0
            until("the stop", lambda: stands(second))
            assert handled(world) == []
            discard(world, "0/0")
            until("the rest", lambda: len(handled(world)) == 39)
            until("no lag", lambda: world.lag() == 0)
            assert second.stop() == 0
    assert sorted(handled(world)) == list(range(1, 40))


@pytest.mark.parametrize("protocol", ["classic", pytest.param("consumer", marks=pytest.mark.sweep)])
def test_what_fails_again_holds_it_again(kafka_broker: KafkaBroker, tmp_path: Path, protocol: GroupProtocol) -> None:
    """The letter that it stands behind is the new one; no record of the partition is handled in between."""
    world = make(kafka_broker, tmp_path, protocol, order="Partition")
    put(world, 0, ("a", {"n": 0, "reject": True}), ("b", {"n": 1}), ("c", {"n": 2}))
    with consuming(world) as running:
        until("the stop", lambda: stands(running))
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        world.dead_letters(2)
        until("what is told", lambda: world.told().stopped == Stop(0, 1, 0))
        assert handled(world) == []
        discard(world, "0/1")
        until("the rest", lambda: handled(world) == [1, 2])
        assert running.stop() == 0


FAILS_DURING_A_LOOK = """
import asyncio, time
from headrace.handlers.python import PythonHandler
from headrace.letters import stops
from headrace.worker.stops import Stops
handle, look, stop, looked, stood = PythonHandler.handle, stops.look, Stops.stop, [], []

async def after_a_look(self, record):
    while record.redriven and not looked:
        await asyncio.sleep(0.05)
    return await handle(self, record)

def slow(*about):
    found = look(*about)
    if None in found.stops.values():
        looked.append(found)
        while len(stood) < 2:
            time.sleep(0.05)
    return found

def stand(self, letter):
    stood.append(stop(self, letter))
    return stood[-1]

PythonHandler.handle, stops.look, Stops.stop = after_a_look, slow, stand
"""
"""Whether the letter has a resolution is known only after what was put back of it has failed again."""


def test_what_fails_again_while_its_letters_are_looked_at_holds_it(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make(kafka_broker, tmp_path)
    put(world, 0, ("a", {"n": 0, "reject": True}))
    with consuming(world, before=FAILS_DURING_A_LOOK) as running:
        until("the stop", lambda: stands(running))
        put(world, 0, *(("a", {"n": n}) for n in range(1, 10)))
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        until("the new letter", lambda: world.told().stopped == Stop(0, 1, 0) or handled(world))
        assert handled(world) == []
        discard(world, "0/1")
        until("the rest", lambda: handled(world) == [*range(1, 10)])
        assert running.stop() == 0


def test_several_letters_of_a_partition_must_all_have_one(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Records of other keys that run as the first one fails end; their letters count, too."""
    world, go = make(kafka_broker, tmp_path), tmp_path / "go"
    (tmp_path / "code" / "effects_handler.py").write_text(HANDLER.replace(SLEEP, WAIT))
    put(world, 0, *((f"k{n}", {"n": n, "until": str(go), "reject": True}) for n in range(4)), ("k0", {"n": 4}))
    with consuming(world) as running:
        until("four that run", lambda: len(world.effects("begin")) == 4)
        go.touch()
        letters = world.dead_letters(4)
        until("the stop", lambda: stands(running))
        for letter in letters[:3]:
            discard(world, f"0/{letter.offset()}")
        until("the last one", lambda: (stop := world.told().stopped) is not None and stop.letter == 3)
        assert handled(world) == []
        discard(world, "0/3")
        until("the rest", lambda: handled(world) == [4])
        assert running.stop() == 0


@pytest.mark.parametrize("isolation", get_args(Isolation))
def test_what_was_read_behind_the_record_is_handled_once(
    kafka_broker: KafkaBroker, tmp_path: Path, isolation: Isolation
) -> None:
    """Hundreds of records were read, some handed over to a worker process ahead: none is lost, none comes twice."""
    world = make(kafka_broker, tmp_path)
    python = world.config.handler.python
    assert python is not None
    handler = Handler(python=python.model_copy(update={"isolation": isolation}))
    put(world, 0, *((f"k{n % 10}", {"n": n}) for n in range(300)))
    with consuming(world, world.config.model_copy(update={"handler": handler})) as running:
        until("the first ones", lambda: len(handled(world)) == 300)
        more = [(f"k{n % 10}", {"n": n}) for n in range(300, 900)]
        put(world, 0, *more[:100], ("a", {"n": 900, "reject": True}), *more[100:])
        until("the stop", lambda: stands(running))
        discard(world, "0/0")
        until("the rest", lambda: len(handled(world)) >= 900)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert sorted(handled(world)) == list(range(900))
    for key in range(10):
        assert [n for n in handled(world) if n % 10 == key] == list(range(key, 900, 10))


def test_one_that_stood_goes_on_where_it_is_wanted_no_more(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make(kafka_broker, tmp_path)
    put(world, 0, ("a", {"n": 0, "reject": True}), ("a", {"n": 1}))
    with consuming(world) as running:
        until("the stop", lambda: stands(running))
        assert running.stop() == 0
    assert handled(world) == []
    with consuming(world, skipping(world)) as running:
        until("the rest", lambda: handled(world) == [1])
        until("what is told", lambda: world.told().stopped is None)
        assert running.stop() == 0
