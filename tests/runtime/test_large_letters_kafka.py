"""Dead letters that Kafka does not take as they are: too large, or refused for another reason; and their redrive."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient

from headrace import config as contract
from headrace import headers
from headrace.cli import answers
from headrace.letters import pointers
from headrace.letters.reading import Letter
from headrace.record import Position
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


def make(broker: KafkaBroker, folder: Path, **settings: Mapping[str, str]) -> World:
    """Make a Consumer whose topics have these settings, and whose records are dead-lettered at their first failure."""
    world = make_world(broker, folder, topics=False, retry={"attempts": 1})
    own = world.config.topics
    topics = {"source": world.source, "retry": own.retry, "dead": own.dead_letters, "resolutions": own.resolutions}
    for name, topic in topics.items():
        broker.create_topic(topic, 1, settings.get(name))
    return world


def poison(size: int, number: int = 0) -> dict[str, object]:
    """Return what a handler fails at until it is redriven; as JSON about ``size`` bytes that hardly compress."""
    return {"poison": True, "n": number, "pad": base64.b85encode(os.urandom(size * 4 // 5)).decode()}


def ask(world: World, *words: str) -> tuple[int, list[answers.Answer]]:
    path = world.folder / "redrive.json"
    path.write_text(contract.dump(world.config))
    done = subprocess.run(
        [sys.executable, "-c", "from headrace.cli import app; app()", "internal", *words],
        env={**os.environ, "HEADRACE_CONFIG": str(path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said = [answers.decode(line) for line in done.stdout.splitlines()]
    return done.returncode, [answer for answer in said if answer is not None]


def listed(world: World) -> list[Letter]:
    _, said = ask(world, "dlq-list")
    return [one.letter for one in said if isinstance(one, answers.Listed)]


def failure(said: list[answers.Answer]) -> answers.Failed:
    assert isinstance(said[-1], answers.Failed), said
    return said[-1]


def done(world: World) -> list[object]:
    return sorted(json.loads(str(effect["value"]))["n"] for effect in world.effects())


@pytest.mark.case("delivery-7")
def test_a_record_near_the_limit_of_its_topic_becomes_a_letter_and_comes_back(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """1,020,000 bytes are more than the client's own limit, and less than that of the topics."""
    world = make(kafka_broker, tmp_path)
    world.produce([("k", poison(1_020_000)), ("k", {"n": 1})])
    with consuming(world):
        letter = world.dead_letters(1)[0]
        assert len(letter.value()) > 1_019_000
        until("the commit", lambda: world.committed() == {0: 2})
        assert ask(world, "redrive") == (0, [*ask_planned(1), answers.Progress(done=1, total=1), answers.Done(count=1)])
        until("the redriven record", lambda: done(world) == [0, 1])


def ask_planned(count: int) -> list[answers.Answer]:
    return [answers.Planned(selected=count, outstanding=count, keys=1, reasons={"max-attempts": count})]


@pytest.mark.case("delivery-7")
def test_what_does_not_fit_points_to_its_record_and_is_redriven_from_it(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """The source takes 5 MB, the dead-letter topic 1 MB, the retry topic first 1 MB, then 6 MB."""
    world = make(kafka_broker, tmp_path, source={"max.message.bytes": "5242880"})
    own = [("id", b"m-1"), ("big", os.urandom(2_000))]
    world.produce([("k", poison(100, 0))])
    world.produce([("k", poison(4_000_000, 1))], headers=own)
    world.produce([("k", poison(100, 2)), ("k", {"n": 3})])
    with consuming(world) as running:
        letters = world.dead_letters(3)
        until("the commit", lambda: world.committed() == {0: 4})
        by_offset = {headers.decode(one.headers()).origin.offset: one for one in letters}  # type: ignore[union-attr]
        assert [by_offset[at].value() is None for at in range(3)] == [False, True, False]
        pointed = next(letter for letter in listed(world) if letter.pointer)
        assert pointed.pointer is not None
        assert (pointed.pointer.topic, pointed.pointer.offset, pointed.key) == (world.source, 1, "k")
        assert pointed.pointer.bytes > 3_999_000
        assert pointed.message_id == "m-1"

        code, said = ask(world, "redrive")

        assert code == 1
        assert f"topic {world.config.topics.retry} takes at most 1048588 bytes a record" in failure(said).what
        assert "1 dead letters were not put back and stay outstanding, 2 were put back" in failure(said).what
        until("the others", lambda: done(world) == [0, 2, 3])
        assert [letter.name for letter in listed(world)] == [pointed.name]

        kafka_broker.alter(world.config.topics.retry, "max.message.bytes", "6000000")
        assert ask(world, "redrive")[0] == 0
        until("the large one", lambda: done(world) == [0, 1, 2, 3])
        assert listed(world) == []
        assert running.stop() == 0


@pytest.mark.case("delivery-7")
@pytest.mark.parametrize("codec", ["zstd", *(pytest.param(one, marks=pytest.mark.sweep) for one in ("gzip", "lz4"))])
def test_a_record_that_fits_in_its_topic_compressed_does_so_as_a_letter_and_comes_back(
    kafka_broker: KafkaBroker, tmp_path: Path, codec: str
) -> None:
    """6 MB that compress to some kB, in topics that take 1 MB; beside it a small one."""
    world = make(kafka_broker, tmp_path)
    settings = {"message.max.bytes": "10000000", "compression.type": codec}
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers, **settings})
    for number, size in ((0, 6_000_000), (1, 100)):
        value = {"poison": True, "n": number, "pad": "again " * (size // 6)}
        producer.produce(world.source, key="k", value=json.dumps(value).encode())
    assert producer.flush(PATIENCE) == 0
    with consuming(world):
        assert len(world.dead_letters(2)[0].value()) > 5_999_000
        until("the commit", lambda: world.committed() == {0: 2})
        assert ask(world, "redrive")[0] == 0
        until("both to come back", lambda: done(world) == [0, 1])


@pytest.mark.case("delivery-7")
def test_small_letters_are_written_beside_one_that_is_too_large(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Together they are more than the topic takes at once, each but one less: only that one goes without its value."""
    world = make(kafka_broker, tmp_path, dead={"max.message.bytes": "60000"})
    world.produce([(f"k{n % 4}", poison(80_000 if n == 7 else 20_000, n)) for n in range(12)])
    with consuming(world):
        letters = world.dead_letters(12)
        until("the commit", lambda: world.committed() == {0: 12})
    empty = [headers.decode(one.headers()).origin for one in letters if one.value() is None]
    assert [at.offset for at in empty if at] == [7]


@pytest.mark.case("delivery-7")
def test_a_letter_whose_record_is_gone_is_refused_and_the_others_go_on(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = make(kafka_broker, tmp_path, dead={"max.message.bytes": "60000"})
    world.produce([("k", poison(80_000, 0)), ("k", poison(100, 1)), ("k", poison(80_000, 2))])
    with consuming(world):
        world.dead_letters(3)
        until("the commit", lambda: world.committed() == {0: 3})
        admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
        for future in admin.delete_records([TopicPartition(world.source, 0, 1)]).values():
            future.result(timeout=PATIENCE)

        code, said = ask(world, "redrive")

        assert code == 1
        assert f"the record that it points to, {world.source}/0/0, is gone" in failure(said).what
        until("the two that can be put back", lambda: done(world) == [1, 2])
    assert [letter.pointer.offset for letter in listed(world) if letter.pointer] == [0]


@pytest.mark.case("delivery-7")
def test_a_topic_that_refuses_letters_makes_the_pod_not_ready_until_it_is_mended(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """A compacted topic takes no letter without key; those with one are written although they were sent together."""
    world = make(kafka_broker, tmp_path, dead={"cleanup.policy": "compact"})
    world.produce([(f"k{n}" if n % 2 else None, {"reject": True}) for n in range(20)])
    quick = "from headrace.letters import writing; writing.REFUSED = 3.0"
    with consuming(world, before=quick) as running:
        assert {letter.key() for letter in world.dead_letters(10)} == {f"k{n}".encode() for n in range(1, 20, 2)}
        until("the pod not to be ready", lambda: running.get("/readyz")[0] == 503)
        until("the reason", lambda: "Kafka refuses dead letters in dlq." in running.get("/readyz")[1])
        assert running.get("/healthz")[0] == 200
        kafka_broker.alter(world.config.topics.dead_letters, "cleanup.policy", "delete")
        world.dead_letters(20)
        until("the pod to be ready", lambda: running.get("/readyz")[0] == 200)
        until("the commit", lambda: world.committed() == {0: 20})
        assert running.stop() == 0


@pytest.mark.case("delivery-7")
def test_letters_that_may_not_be_written_make_the_pod_not_ready(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """The login lacks the right to write to the dead-letter topic, until it is given."""
    world = make(kafka_broker, tmp_path)
    topic = world.config.topics.dead_letters
    kafka_broker.allow_only(topic, AclOperation.DESCRIBE, AclOperation.READ)
    world.produce([("k", poison(10, 0)), ("k", {"n": 1})])
    with consuming(world, before="from headrace.letters import writing; writing.REFUSED = 3.0") as running:

        def says_why() -> bool:
            status, text = running.get("/readyz")
            return status == 503 and "Topic authorization failed" in text

        until("the pod not to be ready, and why", says_why)
        assert world.committed().get(0, 0) == 0
        kafka_broker.allow_only(topic, AclOperation.WRITE)
        until("the commit", lambda: world.committed() == {0: 2})
        until("the pod to be ready", lambda: running.get("/readyz")[0] == 200)
        assert running.stop() == 0
    assert len(world.dead_letters(1)) == 1


@pytest.mark.case("delivery-7")
def test_a_source_record_cannot_pass_for_a_pointer() -> None:
    """Headers of the record itself are not ours, whatever their names."""
    pointer = pointers.Pointer(at=Position("other", 0, 0), bytes=1, digest="0")
    forged = (*pointers.encode(pointer), ("id", b"1"))
    assert pointers.decode(forged) is None
    assert pointers.decode((*forged, (headers.FIRST, b"orders"))) is None
    assert pointers.decode((*forged, (headers.FIRST, b"orders"), *pointers.encode(pointer))) == pointer
