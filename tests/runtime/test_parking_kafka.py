"""A key that fails, or is slow, with more records than fit in memory holds up itself alone, and keeps its order."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation

from headrace.config import Config
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import (
    HANDLER,
    World,
    consuming,
    counted,
    make_world,
    patient,
    read_topic,
    write_commit,
)
from tests.runtime.test_scaling_kafka import SLEEP, WAIT
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMALL = "from headrace.flow import budget; budget.HIGH, budget.LOW = 200, 100"
"""Code that a process runs first: it holds two hundred unfinished records of its sources at most."""

TINY = "from headrace.flow import budget; budget.HIGH, budget.LOW = 40, 20"
"""The same of forty, as each record that is refused for its size costs a new client."""

BY_PARTS = """
import time
from headrace.kafka.consumer import Source, _names

begin, read = Source._on_assign, Source.read
late, due = [], 0.0

def parted(partitions):
    first = [one for one in partitions if one.topic.startswith(FIRST)]
    return first, [one for one in partitions if one not in first]

def given(self, client, partitions):
    global due
    first, rest = parted(partitions)
    late.extend(rest)
    due = time.monotonic() + 1
    begin(self, client, first)

def read_later(self, *about):
    if late and time.monotonic() > due:
        some, late[:] = late[:], []
        begin(self, self._client, some)
    return read(self, *about)

def taken(self, client, partitions, *, lost):
    here = [one for one in partitions if one not in late]
    late[:] = [one for one in late if one not in partitions]
    for part in parted(here):
        self._revoked(_names(part), lost)
    self._membership.leave(client, here)

Source._on_assign, Source.read, Source._on_gone = given, read_later, taken
"""


def by_parts(first: str) -> str:
    """Code that a process runs first: of what its group gives and takes, topics that begin so come and go first."""
    return f"FIRST = {first!r}\n{BY_PARTS}"


HOUR: Mapping[str, object] = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600, "max_in_memory": 3600}


def numbers(world: World, key: str) -> list[int]:
    """The numbers of the records of a key that had their effect, in order."""
    return [json.loads(str(one["value"]))["n"] for one in world.effects() if one["key"] == key]


def impatient(world: World, **retry: object) -> Config:
    """The contract with a tenth of a second between attempts, whatever was due when."""
    known = world.config.delivery
    wish = known.retry.model_copy(update={"max": 0.1, **retry})
    return world.config.model_copy(update={"delivery": known.model_copy(update={"retry": wish})})


def park_bad(world: World, count: int = 1_000) -> None:
    """Write so many records of a key whose first waits for an hour, then some of another, and see them apart."""
    world.produce([("bad", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(count)])
    world.produce([("good", {"n": n}) for n in range(50)])


def parked(world: World, count: int = 1_000) -> bool:
    """Whether the other key is handled, and all is done with the source."""
    return numbers(world, "good") == list(range(50)) and world.committed() == {0: count + 50}


@pytest.mark.case("delivery-16")
def test_one_key_that_fails_with_twelve_thousand_records_holds_up_nobody(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """The others are handled while its first record waits for an hour; then it is handled in its order, once."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    park_bad(world, 12_000)
    with consuming(world) as running:
        until("the good ones", lambda: parked(world, 12_000))
        assert numbers(world, "bad") == []
        assert counted(running, "parked_keys") == 1
        assert counted(running, "parked_records_total") == 12_000
        assert counted(running, "redriven_total") == 0
        assert running.stop() == 0
    with consuming(world, impatient(world, attempts=2)) as running:
        (letter,) = world.dead_letters(1)
        until("its others", lambda: len(numbers(world, "bad")) == 11_999)
        until("live again", lambda: counted(running, "parked_keys") == 0)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert numbers(world, "bad") == list(range(1, 12_000))
    assert dict(letter.headers() or ())["headrace.attempts"] == b"2"
    assert numbers(world, "good") == list(range(50))


@pytest.mark.case("delivery-16")
def test_a_few_large_records_of_a_key_that_fails_hold_up_nobody(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Thirty-six of nearly a megabyte fill the memory as well; those after them are of the other partition, too."""
    world = make_world(kafka_broker, tmp_path, partitions=2, retry=HOUR)
    large = "x" * 990_000
    for n in range(36):
        world.produce([("bad", {"n": n, "after": 3600 if n == 0 else 0, "x": large})], partition=0)
    world.produce([("good", {"n": n}) for n in range(3)], partition=1)
    world.produce([("fine", {"n": n}) for n in range(3)], partition=0)
    with consuming(world):
        until("the good ones", lambda: numbers(world, "good") == numbers(world, "fine") == [0, 1, 2])
        assert numbers(world, "bad") == []


def test_a_slow_key_holds_up_itself_alone(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Nine of ten records are its own and take a while; the others are through long before it, and its order holds."""
    world, go = make_world(kafka_broker, tmp_path, partitions=1), tmp_path / "go"
    slowly = HANDLER.replace(SLEEP, f"{SLEEP}\n    {WAIT}")
    (tmp_path / "code" / "effects_handler.py").write_text(slowly)
    hot = [n for n in range(1_500) if n % 10 != 9]
    takes = {n: {"sleep": 0.03} for n in hot} | {hot[900]: {"until": str(go)}}
    others = {"sleep": 0.1}  # so that there are some while it is seen what holds up others
    world.produce([("hot" if n in takes else f"k{n % 7}", {"n": n} | takes.get(n, others)) for n in range(1_500)])
    with consuming(world, patient(world), before=SMALL) as running:
        until("the others", lambda: len(world.effects()) - len(numbers(world, "hot")) == 1_500 - len(hot))
        go.touch()
        until("the slow one", lambda: len(numbers(world, "hot")) == 1_350)
        until("no lag", lambda: world.lag() == 0)
        until("live again", lambda: counted(running, "parked_keys") == 0)
        assert counted(running, "parked_records_total") > 0
    assert numbers(world, "hot") == hot


def test_a_key_whose_next_attempt_is_far_away_is_waited_for_by_nothing(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Its source is all done with while it waits; its attempts go on where they were, and then it is live."""
    retry = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600}
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=retry)
    park_bad(world, 10)
    with consuming(world) as running:
        until("all done", lambda: parked(world, 10))
        assert counted(running, "parked_records_total") == 10
        assert running.stop() == 0
    with consuming(world, impatient(world, attempts=3)) as running:
        (letter,) = world.dead_letters(1)
        until("its others", lambda: len(numbers(world, "bad")) == 9)
        world.produce([("bad", {"n": 10})])
        until("one more", lambda: 10 in numbers(world, "bad"))
        until("live again", lambda: counted(running, "parked_keys") == 0)
        assert running.stop() == 0
    assert dict(letter.headers())["headrace.attempts"] == b"3"
    bad = [one for one in world.effects("begin") if json.loads(str(one["value"])).get("after")]
    assert [one["attempt"] for one in bad] == [1, 2, 3]
    assert numbers(world, "bad") == list(range(1, 11))


def test_keys_stay_parked_while_source_and_retry_partition_change_hands_one_by_one(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """In a group of KIP-848: one of two partitions goes to a second process, then the other, each in two parts."""
    retry = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600}
    world = make_world(kafka_broker, tmp_path, partitions=2, protocol="consumer", retry=retry)
    for number in (0, 1):
        some = [(f"bad{number}", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(20)]
        world.produce(some, partition=number)
    with consuming(world, before=by_parts("retry.")) as first:
        until("both parked", lambda: counted(first, "parked_records_total") == 40)
        until("all done with the source", lambda: world.committed() == {0: 20, 1: 20})
        with consuming(world, impatient(world, attempts=2), before=by_parts("shop.")) as second:
            (moved,) = until("what has moved", lambda: [n for n in (0, 1) if len(numbers(world, f"bad{n}")) == 19])
            for number in (0, 1):
                world.produce([(f"bad{number}", {"n": 20})], partition=number)
            until("one more, live", lambda: numbers(world, f"bad{moved}")[-1] == 20)
            until("the other one behind its key", lambda: counted(first, "parked_records_total") == 41)
            assert numbers(world, f"bad{1 - moved}") == []
            assert first.stop() == 0
            until("the rest", lambda: len(numbers(world, f"bad{1 - moved}")) == 20)
            until("no lag", lambda: world.lag() == 0)
            until("live again", lambda: counted(second, "parked_keys") == 0)
            assert second.stop() == 0
    assert numbers(world, "bad0") == numbers(world, "bad1") == list(range(1, 21))
    assert len(world.dead_letters(2)) == 2


def test_a_partition_in_order_is_never_parked(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Where the whole partition waits for its first record, nothing of it goes elsewhere."""
    world = make_world(kafka_broker, tmp_path, partitions=1, order="Partition", retry=HOUR)
    park_bad(world)
    with consuming(world, before=SMALL) as running:
        until("the first to fail", lambda: "again in" in running.log.read_text())
        time.sleep(3)  # what would be parked is so within a second
        assert counted(running, "parked_records_total") == 0
        assert numbers(world, "good") == []


def test_keys_that_fail_leave_when_there_is_too_much_to_tell_of_them(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Else no more would be read of the partition; so its frontier moves, and what follows is handled."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    for start in range(0, 2_400, 300):
        world.produce([(f"bad{start}", {"n": start, "after": 3600})])
        world.produce([(f"k{n % 40}", {"n": n}) for n in range(start, start + 300)])
    crowded = "from headrace.worker import commits; commits.CROWDED = 0.005"
    with consuming(world, before=crowded) as running:
        until("all that go well", lambda: len(world.effects()) == 2_400)
        until("the oldest is not waited for", lambda: world.committed().get(0, 0) > 0)
        assert counted(running, "parked_keys") > 0
        assert running.stop() == 0
    with consuming(world, impatient(world, attempts=2)) as running:
        world.dead_letters(8)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert len(world.effects()) == 2_400


def test_order_survives_failures_kill_stop_and_rebalance(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Through memory, retry topic and back, in one process, two and one: each key in its order, repeats only after."""
    draw = random.Random(11)
    world = make_world(
        kafka_broker, tmp_path, partitions=2, retry={"attempts": 8, "initial": 0.1, "factor": 1, "max": 0.1}
    )
    keys = [f"bad{n}" for n in range(4)] * 3 + [f"k{n}" for n in range(12)]
    counts = dict.fromkeys(keys, 0)
    values: list[tuple[str | None, object]] = []
    for _ in range(4_000):
        key = draw.choice(keys)
        values.append((key, {"n": counts[key], "fail": draw.randint(0, 2) if key.startswith("bad") else 0}))
        counts[key] += 1
    world.produce(values[:3_000])
    with consuming(world, before=SMALL) as first:
        until("many parked", lambda: counted(first, "parked_records_total") > 300)
        until("some back", lambda: any(one["topic"] == world.config.topics.retry for one in world.effects()))
        first.process.kill()
        first.process.wait()
    killed = len(world.effects())
    with consuming(world, before=SMALL) as second:
        before = len(world.effects())
        until("it goes on", lambda: len(world.effects()) > before + 200)
        with consuming(world, before=SMALL) as third:
            until("shared", lambda: counted(third, "rebalances_total") >= 1)
            before = len(world.effects())
            world.produce(values[3_000:])
            until("both go on", lambda: len(world.effects()) > before + 100)
            assert third.stop() == 0
        until("all", lambda: all(set(numbers(world, key)) == set(range(counts[key])) for key in counts))
        until("no lag", lambda: world.lag() == 0)
        until("live again", lambda: counted(second, "parked_keys") == 0)
        assert second.stop() == 0
    for key, count in counts.items():
        found = numbers(world, key)
        assert list(dict.fromkeys(found)) == list(range(count)), key
    after = [(one["key"], one["value"]) for one in world.effects()[killed:]]
    assert len(after) == len(set(after)), "repeated by something else than the kill"


SEEMS_TO_END = """
import time
from headrace.kafka.consumer import Source
from headrace.kafka.read import Read
read, kept, since = Source.read, [], []

def early(self, *about):
    found, source = read(self, *about), self._config.topics.sources[0]
    kept.extend(one for one in found.records if one.topic == source)
    if not kept or (since and time.monotonic() > since[0] + 5):
        records, kept[:] = [*kept, *(one for one in found.records if one.topic != source)], []
        return Read(records, found.ends, found.lost)
    ends = [one for one in found.ends if one[0][0] != source] + [((source, 0), kept[0].offset)]
    since.append(time.monotonic())
    return Read([one for one in found.records if one.topic != source], ends, found.lost)

Source.read = early
"""
"""For seconds its source seems to end where it goes on, as a broker says that has just become the leader."""


@pytest.mark.parametrize("more", ["", SEEMS_TO_END])
def test_a_record_that_was_at_the_head_runs_before_what_is_parked(
    kafka_broker: KafkaBroker, tmp_path: Path, more: str
) -> None:
    """It runs, and for long, while those behind it are parked; its process is killed, and it comes again first."""
    world = make_world(kafka_broker, tmp_path, partitions=1)
    world.produce([("slow", {"n": 0, "sleep": 3600})])
    with consuming(world, patient(world), before=SMALL) as running:
        until("the head", lambda: world.effects("begin"))
        world.produce([("slow", {"n": n}) for n in range(1, 180)])
        world.produce([(f"k{n % 50}", {"n": n}) for n in range(300)])
        until("parked", lambda: counted(running, "parked_records_total") >= 179)
        world.produce([("slow", {"n": n}) for n in range(180, 300)])
        until("all the others", lambda: len(world.effects()) == 300)
        until("told", lambda: world.told().done >= 590)
        running.process.kill()
    (tmp_path / "code" / "effects_handler.py").write_text(HANDLER.replace('wish.get("sleep", 0)', "0"))
    with consuming(world, before=SMALL + more) as running:
        until("it all", lambda: len(numbers(world, "slow")) >= 300)
        until("no lag", lambda: world.lag() == 0)
    assert numbers(world, "slow") == list(range(300))


def test_what_comes_again_after_it_was_parked_runs_once(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """As after a crash between the write and the commit: the source gives everything again, and the writes double."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    park_bad(world)
    with consuming(world, before=SMALL) as running:
        until("parked", lambda: parked(world))
        assert running.stop() == 0
    retry = world.config.topics.retry
    twice = read_topic(kafka_broker, retry, 1_000)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers, "linger.ms": "5"})
    for one in twice:
        producer.produce(retry, partition=0, key=one.key(), value=one.value(), headers=one.headers())
    assert producer.flush(PATIENCE) == 0
    write_commit(world, 0)  # as whoever ended before the next commit would have left it
    with consuming(world, impatient(world, attempts=2), before=SMALL) as running:
        until("its others", lambda: len(numbers(world, "bad")) == 999)
        world.produce([("bad", {"n": 1_000})])
        until("one more", lambda: 1_000 in numbers(world, "bad"))
        until("no lag", lambda: world.lag() == 0)
        until("live again", lambda: counted(running, "parked_keys") == 0)
        assert running.stop() == 0
    assert numbers(world, "bad") == list(range(1, 1_001))
    assert len(world.dead_letters(1)) == 1


def test_nothing_is_done_that_the_retry_topic_refuses(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """While it does the source stands, and the pod says why; then all goes on in order, and nothing is missing."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    retry = world.config.topics.retry
    kafka_broker.allow_only(retry, AclOperation.READ)
    park_bad(world)
    with consuming(world, before=SMALL) as running:
        until("refused", lambda: running.get("/readyz")[0] == 503 and retry in running.get("/readyz")[1])
        assert world.committed().get(0, 0) == 0
        assert counted(running, "parked_records_total") == 0
        kafka_broker.allow_only(retry, AclOperation.WRITE)
        until("parked", lambda: parked(world))
        until("ready", lambda: running.get("/readyz")[0] == 200)
        assert running.stop() == 0
    with consuming(world, impatient(world, attempts=2), before=SMALL) as running:
        until("its others", lambda: len(numbers(world, "bad")) == 999)
        assert running.stop() == 0
    assert numbers(world, "bad") == list(range(1, 1_000))


def test_a_record_that_is_too_large_for_the_retry_topic_keeps_its_place(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """It is written as a pointer, and handled with its value, its own headers and its number in the order."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    kafka_broker.alter(world.config.topics.retry, "max.message.bytes", "20000")
    large = base64.b64encode(random.Random(3).randbytes(60_000)).decode()
    world.produce([("bad", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(150)])
    world.produce([("bad", {"n": 150, "x": large})], headers=[("id", b"the-large-one")])
    world.produce([("bad", {"n": n}) for n in range(151, 1_000)])
    world.produce([("good", {"n": n}) for n in range(50)])
    with consuming(world, before=SMALL) as running:
        until("parked", lambda: parked(world))
        assert running.stop() == 0
    with consuming(world, impatient(world, attempts=2), before=SMALL) as running:
        until("its others", lambda: len(numbers(world, "bad")) == 999)
        assert running.stop() == 0
    assert numbers(world, "bad") == list(range(1, 1_000))
    whole = [json.loads(str(one["value"])).get("x") for one in world.effects() if one["key"] == "bad"]
    assert whole.index(large) == 149


def test_a_key_that_is_too_large_for_the_retry_topic_is_parked_and_keeps_its_order(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Its records are pointers whose key is its digest; they are handled with their own key, and then it is live."""
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=HOUR)
    kafka_broker.alter(world.config.topics.retry, "max.message.bytes", "20000")
    large = base64.b64encode(random.Random(4).randbytes(30_000)).decode()
    world.produce([(large, {"n": 0, "after": 3600})])
    with consuming(world, before=TINY) as running:
        until("the first having failed, so that it is not left in memory", lambda: world.told().retrying == 1)
        world.produce([(large, {"n": n}) for n in range(1, 60)])
        world.produce([("good", {"n": n}) for n in range(50)])
        until("parked", lambda: parked(world, 60))
        until("ready", lambda: running.get("/readyz")[0] == 200)
        assert running.stop() == 0
    with consuming(world, impatient(world, attempts=2), before=TINY) as running:
        until("its others", lambda: len(numbers(world, large)) == 59)
        world.produce([(large, {"n": 60})])
        until("one more, live", lambda: len(numbers(world, large)) == 60)
        until("live again", lambda: counted(running, "parked_keys") == 0)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert numbers(world, large) == list(range(1, 61))


@pytest.mark.case("delivery-16")
def test_a_parked_key_that_waits_holds_up_no_other_that_is_parked(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It has more records than fit in memory beside the source's; it has them back, in order, once it goes on."""
    soon = {"attempts": 3, "initial": 3600, "factor": 1, "max": 3600, "max_in_memory": 0.5}
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=soon)
    world.produce([("bad", {"n": n, "after": 3600 if n == 0 else 0}) for n in range(100)])
    with consuming(world, before=TINY) as running:
        until("parked", lambda: world.committed() == {0: 100})
        world.produce([("fine", {"n": n, "after": 2 if n == 0 else 0}) for n in range(30)])
        until("its first, dead", lambda: len(world.dead_letters(1)) == 1)
        until("its others", lambda: numbers(world, "fine") == list(range(1, 30)))
        assert numbers(world, "bad") == []
        world.produce([("fine", {"n": 30})])
        until("one more, live", lambda: numbers(world, "fine") == list(range(1, 31)))
        assert running.stop() == 0
    with consuming(world, impatient(world), before=TINY) as running:
        until("the rest", lambda: len(numbers(world, "bad")) == 99)
        until("live again", lambda: counted(running, "parked_keys") == 0)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert numbers(world, "bad") == list(range(1, 100))
    assert numbers(world, "fine") == list(range(1, 31))
