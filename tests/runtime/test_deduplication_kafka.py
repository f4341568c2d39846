"""Real consumer processes and a real Redis: a message is handled once, and a store that is away loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from headrace import config as contract
from headrace.cli import answers
from tests.kafka_broker import KafkaBroker
from tests.redis_server import RedisServer
from tests.runtime import test_crash_kafka as crash
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import HANDLER, Running, World, consuming, make_world
from tests.runtime.test_scaling_kafka import SLEEP, WAIT
from tests.waiting import until

pytestmark = pytest.mark.slow

NO_COMMITS = "from headrace.kafka.consumer import Source; Source.commit = lambda *_, **__: None"
SHORT_LEASE = "import headrace.worker.deduplication as own; own.LEASE, own.RENEW = 3.0, 1.0\n"
MEMORY: dict[str, object] = {"memory": {}}


def _world(broker: KafkaBroker, folder: Path, store: dict[str, object], attempts: int = 3) -> World:
    retry = {"attempts": attempts, "initial": 0.05, "max": 1}
    return make_world(broker, folder, partitions=1, deduplication=store, retry=retry, concurrency=8)


def _redis(server: RedisServer) -> dict[str, object]:
    return {"redis": {"url": server.url}}


def _key(world: World, message: str) -> str:
    return f"{world.config.group}:{message}"


def _done(world: World, client: Redis) -> int:
    """Return how many messages of the Consumer the store knows as handled."""
    names = list(client.scan_iter(match=_key(world, "*")))
    return client.mget(names).count(b"done") if names else 0


def _handled(world: World) -> list[str]:
    return sorted(str(one["value"]) for one in world.effects())


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_a_message_that_was_produced_twice_is_handled_once(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer, store: str
) -> None:
    """At another offset and under another key, as long as it is the same message; failures in between are retried."""
    world = _world(kafka_broker, tmp_path, MEMORY if store == "memory" else _redis(redis_server))
    world.produce([("a", {"n": 1, "fail": 2})], headers=[("id", b"m-1")])
    with consuming(world) as running:
        until("the first", lambda: len(world.effects()) == 1)
        world.produce([("a", {"n": 2}), ("b", {"n": 3})], headers=[("id", b"m-1")])
        world.produce([("a", {"n": 4})], headers=[("id", b"m-2")])
        until("all", lambda: world.committed().get(0) == 4)
        until("two to be counted", lambda: running.metric("headrace_consumer_deduplicated_total") == 2)
        until("all to be", lambda: running.metric("headrace_consumer_records_total", topic=world.source) == 4)

    assert _handled(world) == ['{"n": 1, "fail": 2}', '{"n": 4}']
    assert [one["attempt"] for one in world.effects()] == [3, 1]


def test_a_message_is_known_by_the_header_that_the_consumer_names(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Whatever `id` its records have, also by way of a dead letter that is put back."""
    world = _world(kafka_broker, tmp_path, _redis(redis_server))
    kafka_broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    named = world.config.delivery.model_copy(update={"message_id_header": "event-id"})
    config = world.config.model_copy(update={"delivery": named})
    world.produce([("a", {"n": 1, "poison": True})], headers=[("id", b"one"), ("event-id", b"e-1")])
    with consuming(world, config) as running:
        world.dead_letters(1)
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        until("its effect", lambda: len(world.effects()) == 1)
        world.produce([("b", {"n": 2})], headers=[("id", b"two"), ("event-id", b"e-1")])
        world.produce([("b", {"n": 3})], headers=[("id", b"one"), ("event-id", b"e-2")])
        until("all", lambda: world.committed().get(0) == 3)
        until("one to be counted", lambda: running.metric("headrace_consumer_deduplicated_total") == 1)

    assert [one["key"] for one in world.effects()] == ["a", "b"]
    assert _handled(world)[-1] == '{"n": 3}'


def test_what_a_killed_pod_had_handled_is_not_handled_again(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """It had told the store, and had committed nothing."""
    world = _world(kafka_broker, tmp_path, _redis(redis_server))
    world.produce([(f"k{number}", {"n": number}) for number in range(20)])
    with consuming(world, before=NO_COMMITS) as running, redis_server.client() as client:
        until("all in the store", lambda: _done(world, client) == 20)
        running.process.kill()
        running.process.wait()
    assert world.committed().get(0, 0) == 0
    with consuming(world) as running:
        until("all", lambda: world.committed().get(0) == 20)
        until("all to be counted", lambda: running.metric("headrace_consumer_deduplicated_total") == 20)

    assert len(world.effects()) == 20


def test_a_store_that_is_away_makes_records_wait_and_counts_no_attempt(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """With a single attempt each, and more keys than an outage of the target takes: none is lost, and the target is
    not taken for away; it comes back, hangs, and comes back once more."""
    world = _world(kafka_broker, tmp_path, _redis(redis_server), attempts=1)
    with consuming(world) as running:
        for turn, gone in enumerate((redis_server.away, redis_server.silent)):
            with gone():
                _missed(world, running, turn)
                until("it to be told", lambda: running.metric("headrace_consumer_store_away") == 1)
            _settled(world, 15 * (turn + 1))
        until("its return to be told", lambda: running.metric("headrace_consumer_store_away") == 0)
        assert running.metric("headrace_consumer_dead_letters_total") == 0
        assert running.process.poll() is None

    assert len(set(_handled(world))) == len(world.effects()) == 30
    assert {one["attempt"] for one in world.effects()} == {1}


def _missed(world: World, running: Running, turn: int) -> None:
    """Produce 15 records and wait until the store is missed; none begins, and the target is not taken for away."""
    before = _failures(running) if turn else 0.0
    world.produce([(f"k{number}", {"n": number, "turn": turn}) for number in range(15)])
    until("the store to be missed", lambda: _failures(running) >= before + 3)
    assert len(world.effects("begin")) == 15 * turn
    assert running.metric("headrace_consumer_circuit_open") == 0


def _settled(world: World, count: int) -> None:
    until("all", lambda: world.committed().get(0) == count)


def _failures(running: Running) -> float:
    """Return how often the store was missed; 0 while the process does not serve yet."""
    ready = running.get("/metrics")[0] == 200
    return running.metric("headrace_consumer_deduplication_failures_total") if ready else 0.0


def test_a_store_that_is_lost_during_an_attempt_makes_no_second_one(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """The effect has happened: the record is finished, though nobody will know its message."""
    world, go = _world(kafka_broker, tmp_path, _redis(redis_server), attempts=2), tmp_path / "go"
    (tmp_path / "code" / "effects_handler.py").write_text(HANDLER.replace(SLEEP, WAIT))
    world.produce([("a", {"until": str(go)})])
    with consuming(world) as running:
        until("its beginning", lambda: world.effects("begin"))
        with redis_server.away():
            go.touch()
            _settled(world, 1)
        world.produce([("a", {"n": 1})])
        _settled(world, 2)
        assert running.metric("headrace_consumer_deduplication_failures_total") >= 1

    assert len(world.effects()) == len(world.effects("begin")) == 2


def test_a_message_that_somebody_has_is_waited_for(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Handled when the lease of a pod that died ends, passed over when that pod was done; no attempt counts."""
    world = _world(kafka_broker, tmp_path, _redis(redis_server), attempts=1)
    with redis_server.client() as client, consuming(world):
        client.set(_key(world, "dies"), "somebody")
        client.set(_key(world, "ends"), "somebody")
        for message in ("dies", "ends", "free"):
            world.produce([(message, {"n": message})], headers=[("id", message.encode())])
        until("the free one", lambda: len(world.effects()) == 1)
        client.delete(_key(world, "dies"))
        client.set(_key(world, "ends"), "done")
        until("all", lambda: world.committed().get(0) == 3)

    assert _handled(world) == ['{"n": "dies"}', '{"n": "free"}']


def test_what_was_dead_lettered_is_handled_when_it_comes_again(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """A message whose attempts failed was not handled: it is claimed by nobody."""
    world = _world(kafka_broker, tmp_path, _redis(redis_server))
    with consuming(world):
        world.produce([("a", {"reject": True})], headers=[("id", b"m-1")])
        world.dead_letters(1)
        world.produce([("a", {"n": 1})], headers=[("id", b"m-1")])
        until("it", lambda: len(world.effects()) == 1)


def test_a_store_is_exactly_one() -> None:
    """Of memory and Redis."""
    for wrong in ({}, {"memory": {}, "redis": {"url": "redis://a"}}):
        with pytest.raises(ValueError, match="exactly one of memory and redis"):
            contract.Deduplication.model_validate(wrong)


def _ends(running: Running, is_over: Callable[[], bool]) -> bool:
    return crash.ends(running) or is_over()


def test_a_record_that_ends_its_process_is_dead_lettered_though_dead_pods_have_it(
    kafka_broker: KafkaBroker, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Whoever comes next waits for the leases of the dead, and what waits so is no crash.

    What ran beside it may have had its effect, and not been noted yet: that comes again.
    """
    world = _world(kafka_broker, tmp_path, _redis(redis_server))
    world.produce([("ok1", {"n": 1}), ("poison", {"exit": 139}), ("ok2", {"n": 2})])

    def is_over() -> bool:
        return world.committed() == {0: 3}

    ended = 0
    while not is_over() and ended < 8:
        with consuming(world, crash.patient(world), before=SHORT_LEASE + crash.before(world)) as running:
            until("its end, or that of the work", partial(_ends, running, is_over))
            ended += crash.ends(running)
        crash.mourn(world)

    (letter,) = world.dead_letters(1)
    said = dict(letter.headers() or ())
    assert (letter.key(), said["headrace.reason"], said["headrace.attempts.crash"]) == (b"poison", b"crash", b"3")
    assert set(_handled(world)) == {'{"n": 1}', '{"n": 2}'}
