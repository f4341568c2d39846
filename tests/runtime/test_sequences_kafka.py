"""Keys that wait behind their dead letters, on a real broker: what follows goes there, too, and back in its order."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import Producer

from headrace import headers
from headrace.cli import answers
from headrace.config import Config
from headrace.failure import Reason
from headrace.kafka.topics import Stored, UnansweredError
from headrace.letters import reading
from headrace.resolutions import Key
from tests.kafka_broker import KafkaBroker
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.runtime.history import SLACK, History, Letter, violations
from tests.runtime.test_parking_kafka import by_parts, impatient
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PARK = {"action": "ParkKey"}
GAUGE, STOPPED = "headrace_consumer_waiting_keys", "headrace_consumer_stopped_partitions"


def make(broker: KafkaBroker, folder: Path, *, partitions: int = 1, **more: object) -> World:
    action = {**PARK, **({"compensate": more.pop("compensate")} if "compensate" in more else {})}
    world = make_world(broker, folder, partitions=partitions, on_dead_letter=action, **more)  # type: ignore[arg-type]
    broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    return world


def numbers(world: World, key: str) -> list[int]:
    """The numbers of the records of a key that had their effect, in order."""
    return [json.loads(str(one["value"]))["n"] for one in world.effects() if one["key"] == key]


def letters(world: World) -> list[Stored]:
    """All dead letters there are."""
    topic = world.config.topics.dead_letters
    return [one for number, span in world.reader.spans(topic).items() for one in world.reader.read(topic, number, span)]


def reasons(world: World) -> list[str | None]:
    return [headers.decode(one.headers).reason for one in letters(world)]


def number_of(letter: Stored) -> int:
    return int(json.loads(letter.value or b"")["n"])


def heads(world: World) -> list[reading.Letter]:
    """The outstanding letters behind which keys wait; asked again while a killed process has a transaction open."""
    (found,) = until("what became of letters", lambda: outstanding(world))
    return [one for one in found if one.reason != Reason.KEY_PARKED]


def outstanding(world: World) -> tuple[list[reading.Letter]] | None:
    """The outstanding letters; None while an open transaction hides which they are."""
    with suppress(UnansweredError):
        return (list(reading.outstanding(world.reader, world.config.topics)),)
    return None


def discard_heads(world: World) -> int:
    """Say that nothing will become of them, as docs/by-hand.md does; return how many they were."""
    topics, found = world.config.topics, heads(world)
    if not found:
        return 0
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    topic = world.reader.id(topics.dead_letters)
    for one in found:
        key = str(Key(topic, *reading.parse_place(one.name)))
        producer.produce(topics.resolutions, key=key, value=json.dumps({"action": "discarded", "by": "ada"}))
    assert producer.flush(PATIENCE) == 0
    return len(found)


def metric(running: Running, name: str) -> float:
    return running.metric(name) if running.get("/healthz")[0] == 200 else -1


def told_keys(world: World, number: int = 0) -> int:
    told = world.told(number).sequences
    return -1 if told is None else told.keys


def live(world: World, running: Running) -> None:
    """See that no key waits any more, and that nothing is left to be done."""
    until("live again", lambda: metric(running, GAUGE) == 0)
    until("no lag", lambda: world.lag() == 0)
    until("what is told", lambda: told_keys(world) == 0)


def test_what_follows_waits_and_goes_back_in_order(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Other keys of the partition go on meanwhile; put back, the head is handled, then what waited, then what comes."""
    world = make(kafka_broker, tmp_path, compensate={"topic": "undo"})
    kafka_broker.create_topic("undo", 1)
    world.produce([("a", {"n": 0}), ("a", {"n": 1, "poison": True}), *(("a", {"n": n}) for n in range(2, 40))])
    with consuming(world) as running:
        until("all of them", lambda: len(letters(world)) == 39)
        assert reasons(world) == ["max-attempts", *["key-parked"] * 38]
        assert [number_of(one) for one in letters(world)] == list(range(1, 40))
        world.produce([("b", {"n": n}) for n in range(20)])
        until("the other key", lambda: numbers(world, "b") == list(range(20)))
        until("it is told", lambda: told_keys(world) == 1)
        assert numbers(world, "a") == [0]
        until("it is measured", lambda: metric(running, GAUGE) == 1)
        (refused,) = ask(world, "redrive", "--offset=0/3", check=False)
        assert isinstance(refused, answers.Failed)
        assert "0/3 did not fail, but waits behind the dead letter 0/0 of its key" in refused.what
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        until("what waited", lambda: len(numbers(world, "a")) == 40)
        world.produce([("a", {"n": n}) for n in range(40, 50)])
        until("what comes", lambda: len(numbers(world, "a")) == 50)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(50))
    assert ask(world, "dlq-list") == [answers.Done(count=0)]
    assert sum(1 for _ in world.reader.read("undo", 0, world.reader.spans("undo")[0])) == 1


def test_it_waits_in_the_next_pod_until_the_head_is_discarded(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Killed, and started anew, it still knows which key waits, though its records are all done with in the source."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": 0, "reject": True}), ("a", {"n": 1}), ("b", {"n": 0})])
    with consuming(world) as running:
        until("committed", lambda: world.committed() == {0: 3})
        running.process.kill()
    world.produce([("a", {"n": 2}), ("b", {"n": 1})])
    with consuming(world) as running:
        until("the other key", lambda: numbers(world, "b") == [0, 1])
        until("one more", lambda: reasons(world) == ["non-retriable", "key-parked", "key-parked"])
        assert numbers(world, "a") == []
        assert discard_heads(world) == 1
        until("what waited", lambda: numbers(world, "a") == [1, 2])
        live(world, running)
        assert running.stop() == 0


def test_it_waits_where_its_retry_partition_comes_before_its_source(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """In a group of KIP-848, in which one process takes over from another; its head is put back, and fails again."""
    world = make(kafka_broker, tmp_path, protocol="consumer")
    world.produce([("a", {"n": 0, "reject": True}), ("a", {"n": 1}), ("b", {"n": 0})])
    with consuming(world, before=by_parts("shop.")) as first:
        until("committed", lambda: world.committed() == {0: 3})
        with consuming(world, before=by_parts("retry.")) as second:
            assert first.stop() == 0
            assert ask(world, "redrive")[-1] == answers.Done(count=1)
            world.produce([("a", {"n": 2}), ("b", {"n": 1})])
            until("the other key", lambda: numbers(world, "b") == [0, 1])
            until("one more", lambda: len(letters(world)) == 4)
            assert sorted(map(str, reasons(world))) == ["key-parked"] * 2 + ["non-retriable"] * 2
            assert numbers(world, "a") == []
            assert discard_heads(world) == 1
            until("what waited", lambda: numbers(world, "a") == [1, 2])
            live(world, second)
            assert second.stop() == 0


def test_a_second_failure_among_what_waited_is_waited_for_anew(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Of what was moved back, all behind it waits once more; then it goes on in its order, each once."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "reject": n in {0, 3, 30}}) for n in range(60)])
    with consuming(world) as running:
        until("all of them", lambda: len(letters(world)) == 60)
        assert discard_heads(world) == 1
        until("the second", lambda: [number_of(one) for one in letters(world)[60:]] == list(range(3, 60)))
        assert numbers(world, "a") == [1, 2]
        world.produce([("a", {"n": n}) for n in range(60, 70)])
        assert [one.source.offset for one in heads(world) if one.source] == [3]
        assert discard_heads(world) == 1
        until("the third", lambda: numbers(world, "a")[-1] == 29 and len(heads(world)) == 1)
        assert discard_heads(world) == 1
        until("the rest", lambda: numbers(world, "a")[-1] == 69)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == [n for n in range(70) if n not in {0, 3, 30}]


def test_a_head_that_is_put_back_while_no_pod_runs_goes_first(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It is read from the retry topic, later than what comes of its key from the source."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": 0, "poison": True, "sleep": 1}), ("a", {"n": 1})])
    with consuming(world) as running:
        until("committed", lambda: world.committed() == {0: 2})
        assert running.stop() == 0
    world.produce([("a", {"n": n}) for n in range(2, 10)])
    assert ask(world, "redrive")[-1] == answers.Done(count=1)
    with consuming(world) as running:
        until("all of them", lambda: len(numbers(world, "a")) == 10)
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(10))


BEFORE_THE_COMMIT = """
from headrace.worker import commits
commits.EVERY = commits.AFTER = 10**9
"""


def test_what_became_a_letter_before_a_kill_is_none_again(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Nothing was committed of it: the source gives it all once more, and nothing is written twice, nor handled."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(30)])
    with consuming(world, before=BEFORE_THE_COMMIT) as running:
        until("all of them", lambda: len(letters(world)) == 30)
        running.process.kill()
    assert not any(world.committed().values())
    with consuming(world) as running:
        until("done with the source", lambda: world.committed() == {0: 30})
        assert len(letters(world)) == 30
        assert discard_heads(world) == 1
        until("what waited", lambda: numbers(world, "a") == list(range(1, 30)))
        live(world, running)
        assert running.stop() == 0


INSIDE_A_TRANSACTION = """
import os
from headrace.kafka import topics
from headrace.kafka.topics import Writer
topics.TRANSACTION = 600.0
produce, count = Writer._produce, iter(range(10**6))
def dies(self, record):
    produce(self, record)
    if next(count) == 250:
        self._client.flush(30)
        os.kill(os.getpid(), 9)
Writer._produce = dies
"""
AFTER_A_TRANSACTION = """
import os
from headrace.kafka.topics import Writer
append = Writer.append
def dies(self, records):
    append(self, records)
    os.kill(os.getpid(), 9)
Writer.append = dies
"""


@pytest.mark.parametrize("before", [INSIDE_A_TRANSACTION, AFTER_A_TRANSACTION], ids=["inside", "after"])
def test_a_kill_while_what_waited_is_moved_back_loses_and_doubles_nothing(
    kafka_broker: KafkaBroker, tmp_path: Path, before: str
) -> None:
    """Kafka itself would end the transaction after ten minutes."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(350)])
    with consuming(world, before=before) as running:
        until("all of them", lambda: len(letters(world)) == 350)
        assert discard_heads(world) == 1
        assert running.process.wait(PATIENCE) == -signal.SIGKILL
    world.produce([("a", {"n": n}) for n in range(350, 360)])
    killed = len(numbers(world, "a"))
    with consuming(world) as running:
        until("all of them", lambda: len(set(numbers(world, "a"))) == 359)
        live(world, running)
        assert running.stop() == 0
    assert list(dict.fromkeys(numbers(world, "a"))) == list(range(1, 360))
    assert len(numbers(world, "a")) - 359 <= killed, "repeated by something else than the kill"
    assert ask(world, "dlq-list") == [answers.Done(count=0)]


def test_a_parked_key_waits_with_all_that_is_parked_of_it(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Its first record waited for an hour in the retry topic, others behind it there; then that one is given up."""
    retry = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600, "max_in_memory": 3600}
    world = make(kafka_broker, tmp_path, retry={**retry, "max_in_memory": 1})
    world.produce([("a", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(50)])
    with consuming(world) as running:
        until("parked", lambda: metric(running, "headrace_consumer_parked_records_total") == 50)
        until("committed", lambda: world.committed() == {0: 50})
        assert running.stop() == 0
    world.produce([("a", {"n": n}) for n in range(50, 60)])
    with consuming(world, impatient(world, attempts=2)) as running:
        until("all of them", lambda: len(letters(world)) == 60)
        assert sorted(map(number_of, letters(world))) == list(range(60))
        assert numbers(world, "a") == []
        assert discard_heads(world) == 1
        until("what waited", lambda: numbers(world, "a") == list(range(1, 60)))
        live(world, running)
        assert running.stop() == 0


def test_a_key_of_which_records_keep_coming_is_live_again(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world, count, is_over = make(kafka_broker, tmp_path), 0, threading.Event()

    def come() -> None:
        nonlocal count
        while not is_over.is_set():
            world.produce([("a", {"n": count, "reject": count == 5})])
            count += 1

    coming = threading.Thread(target=come)
    coming.start()
    try:
        with consuming(world) as running:
            until("some wait", lambda: reasons(world).count("key-parked") > 20)
            assert discard_heads(world) == 1
            until("live again", lambda: metric(running, GAUGE) == 0)
            written, handled = len(letters(world)), len(numbers(world, "a"))
            until("it goes on", lambda: len(numbers(world, "a")) > handled + 50)
            assert len(letters(world)) == written
            is_over.set()
            coming.join()
            until("all of them", lambda: len(numbers(world, "a")) == count - 1)
            live(world, running)
            assert running.stop() == 0
    finally:
        is_over.set()
        coming.join()
    assert numbers(world, "a") == [n for n in range(count) if n != 5]


def come_by_parts(what: str, enough: int, count: Callable[[], int]) -> None:
    """Wait for so many, tenth by tenth: it is much to do."""
    for tenth in range(1, 11):
        until(f"{tenth} tenths {what}", lambda: count() >= enough * tenth // 10)  # noqa: B023


@pytest.mark.timeout(1800)
def test_twenty_thousand_that_wait_take_no_room(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The commit tells one place, whatever waits, and the pod remembers none of them; all go back, in their order."""
    world, count = make(kafka_broker, tmp_path), 20_000
    world.produce([("a", {"n": n, "reject": n == 0}) for n in range(count)])
    world.produce([("b", {"n": 0})])
    with consuming(world) as running:
        come_by_parts("done with", count + 1, lambda: world.committed().get(0, 0))
        assert len(numbers(world, "b")) == 1
        assert (world.told().map, told_keys(world)) == ("", 1)
        waiting = resident(running)
        assert discard_heads(world) == 1
        come_by_parts("handled", count - 1, lambda: len(numbers(world, "a")))
        print(f"{count} followers: {waiting} MiB while they waited, {resident(running)} MiB once they were handled")
        live(world, running)
        assert running.stop() == 0
    assert numbers(world, "a") == list(range(1, count))


def resident(running: Running) -> int:
    """The memory of a process, in MiB."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) >> 10


def test_keys_keep_their_order_through_kills_and_hand_over(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Twenty keys of three partitions, of which eight fail now and then; pods are killed, come and go meanwhile."""
    world, count = make(kafka_broker, tmp_path, partitions=3), 1_200
    produced = {n: f"k{n % 20}" for n in range(count)}
    bad = {n for n in produced if n % 20 < 8 and n % 7 == 3}
    values = [(produced[n], {"n": n, "reject": n in bad, "sleep": 0.005}) for n in produced]
    killed: dict[str, float] = {}

    def kill(running: Running) -> None:
        killed[str(running.process.pid)] = time.time()
        running.process.kill()
        running.process.wait()

    def come_to(what: str, share: float) -> None:
        enough = share * (count - len(bad))
        until(what, lambda: discard_heads(world) < 0 or len(set(world.taken())) >= enough, every=0.5)

    world.produce(values[: count // 2])
    with consuming(world) as first:
        come_to("a sixth", 0.15)
        with consuming(world) as second:
            until("shared", lambda: metric(second, "headrace_consumer_rebalances_total") >= 1)
            until("keys wait", lambda: heads(world))
            kill(first)
            world.produce(values[count // 2 :])
            come_to("more", 0.3)
            with consuming(world) as third:
                until("shared", lambda: metric(third, "headrace_consumer_rebalances_total") >= 1)
                come_to("half", 0.5)
                assert second.stop() == 0
                come_to("most", 0.7)
                kill(third)
    with consuming(world) as last:
        done = count - len(bad)
        until("all", lambda: discard_heads(world) < 0 or len({one.number for one in world.taken()}) == done, every=0.5)
        live(world, last)
        assert last.stop() == 0
    history = History(
        produced=produced,
        effects=world.taken(),
        letters=[Letter(number_of(one), "non-retriable") for one in failed(world)],
        discarded=frozenset(map(number_of, failed(world))),
        killed=killed,
    )
    assert violations(history, SLACK) == []
    assert history.discarded == bad
    assert ask(world, "dlq-list") == [answers.Done(count=0)]


def failed(world: World) -> list[Stored]:
    return [one for one in letters(world) if headers.decode(one.headers).reason != Reason.KEY_PARKED]


def test_where_no_key_can_wait_alone_its_partition_stands(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """As of a source with fewer partitions than the retry topic: the two may lie in different pods."""
    world = make(kafka_broker, tmp_path)
    kafka_broker.grow(world.config.topics.retry, 2)
    world.produce([("a", {"n": 0, "reject": True}), ("b", {"n": 0}), ("a", {"n": 1})])
    with consuming(world) as running:
        until("the stop", lambda: metric(running, STOPPED) == 1)
        assert numbers(world, "a") == []
        assert discard_heads(world) == 1
        until("the rest", lambda: numbers(world, "a") == [1])
        until("no lag", lambda: world.lag() == 0)
        assert reasons(world) == ["non-retriable"]
        assert running.stop() == 0


def test_keys_that_waited_go_on_where_that_is_wanted_no_more(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """What waited stays in the dead-letter topic, as any other letter, and may be put back by hand."""
    world = make(kafka_broker, tmp_path)
    world.produce([("a", {"n": 0, "reject": True}), ("a", {"n": 1})])
    with consuming(world) as running:
        until("committed", lambda: world.committed() == {0: 2})
        assert running.stop() == 0
    skips: Mapping[str, object] = {
        "on_dead_letter": world.config.delivery.on_dead_letter.model_copy(update={"action": "Skip"})
    }
    config = world.config.model_copy(update={"delivery": world.config.delivery.model_copy(update=skips)})
    skipping = World(broker=world.broker, config=config, folder=world.folder)
    world.produce([("a", {"n": 2})])
    with consuming(skipping) as running:
        until("the next", lambda: numbers(world, "a") == [2])
        until("what is told", lambda: told_keys(world) == -1)
        assert ask(skipping, "redrive", "--offset=0/1")[-1] == answers.Done(count=1)
        until("the one behind", lambda: numbers(world, "a") == [2, 1])
        assert running.stop() == 0


ENDS = [
    ("kill", "classic"),
    ("stop", "consumer"),
    ("rebalance", "classic"),
    *(
        pytest.param(*more, marks=pytest.mark.sweep)
        for more in (("kill", "consumer"), ("stop", "classic"), ("rebalance", "consumer"))
    ),
]


@contextmanager
def heir(world: World, before: Running, how: str, config: Config) -> Iterator[Running]:
    """Run a process that has everything once another was killed, or stopped, or shared with it and then stopped."""
    if how == "kill":
        before.process.kill()
        before.process.wait()
    elif how == "stop":
        assert before.stop() == 0
    with consuming(world, config) as running:
        if how == "rebalance":
            until("shared", lambda: metric(running, "headrace_consumer_rebalances_total") >= 1)
            assert before.stop() == 0
        yield running


@pytest.mark.parametrize(("how", "protocol"), ENDS)
def test_keys_that_wait_and_keys_that_are_parked_outlast_their_pods(
    kafka_broker: KafkaBroker, tmp_path: Path, how: str, protocol: str
) -> None:
    """Of two partitions each has one of either. With the next pod the parked one waits, too; then all go back."""
    retry = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600, "max_in_memory": 1}
    world = make(kafka_broker, tmp_path, partitions=2, protocol=protocol, retry=retry)
    keys = [(f"{name}{number}", number) for name in ("waits", "parked") for number in (0, 1)]

    def come(begin: int, end: int) -> None:
        for key, number in keys:
            fails = {"reject": True} if key.startswith("waits") else {"after": 3600}
            world.produce([(key, {"n": n} | (fails if n == 0 else {})) for n in range(begin, end)], partition=number)

    come(0, 20)
    with consuming(world) as first:
        until("two wait", lambda: metric(first, GAUGE) == 2 and len(letters(world)) == 40)
        until("two are parked", lambda: metric(first, "headrace_consumer_parked_records_total") == 40)
        until("done with the source", lambda: world.committed() == {0: 40, 1: 40})
        come(20, 25)
        with heir(world, first, how, impatient(world, attempts=2)) as second:
            until("all four wait", lambda: metric(second, GAUGE) == 4 and len(heads(world)) == 4)
            come(25, 30)
            with heir(world, second, how, impatient(world, attempts=2)) as third:
                until("they wait on", lambda: metric(third, GAUGE) == 4 and world.lag() == 0)
                assert world.effects() == []
                assert discard_heads(world) == 4
                until("what waited", lambda: len(world.effects()) == 4 * 29)
                live(world, third)
                assert third.stop() == 0
    assert {key: numbers(world, key) for key, _ in keys} == {key: list(range(1, 30)) for key, _ in keys}
    assert ask(world, "dlq-list") == [answers.Done(count=0)]
