"""A real consumer process and a batch of records as nobody should write them: each ends handled or dead-lettered."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from headrace import config as contract
from headrace import headers, parsing
from headrace.cli import answers
from headrace.cli.pod.internal import _listed, _redriven
from headrace.config import Topics
from headrace.kafka.topics import Reader
from headrace.letters import reading
from headrace.letters.redrive import Order, Selection
from headrace.record import Headers
from tests import lines
from tests.kafka_broker import KafkaBroker
from tests.raw_producer import RawHeaders, raw_producer
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HANDLER = """
import asyncio, datetime, os, sys
import headrace

OUT = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

class Deadline:
    def __exit__(self, *_):
        asyncio.get_running_loop().call_later(0.01, self.task.cancel)
    def __enter__(self):
        self.task = asyncio.current_task()

async def exits():
    raise SystemExit(0)

async def handle(record):
    match record.value:
        case b"timedelta":
            if record.attempt == 1:
                raise headrace.Retry("later", after=datetime.timedelta(milliseconds=20))
        case b"text":
            raise headrace.Retry("later", after="30")
        case b"cancel":
            asyncio.current_task().cancel()
            await asyncio.sleep(1)
        case b"scope":
            with Deadline():
                pass
        case b"cancel all":
            for task in asyncio.all_tasks():
                task.cancel()
        case b"exit later":
            asyncio.get_running_loop().call_later(0.01, sys.exit, 0)
            await asyncio.sleep(1)
        case b"exit beside":
            asyncio.create_task(exits())
            await asyncio.sleep(1)
        case b"stop":
            asyncio.get_running_loop().stop()
        case b"reject" if not record.redriven:
            raise headrace.Reject("no")
    os.write(OUT, (record.message_id + "\\n").encode())
"""
POISON: tuple[RawHeaders, ...] = (
    ((b"na\xffme", b"1"),),
    ((b"good", b"1"), (b"\xfe\xff", None), (b"\xc3", b"2"), (b"z", b"")),
    ((b"", b"empty name"), (b"nul\x00l", b"x"), (b"null", None)),
    ((b"headrace.attempts", b"9" * 5000), (b"headrace.redrive-count", b"9" * 5000)),
    ((b"headrace.handler-status", b"9" * 5000), (b"__dlq.errors.topic", b"else\r\nwhere")),
    ((b"kafka_dlt-original-timestamp", b"yesterday, about noon"), (b"kafka_dlt-original-partition", b"x")),
    ((b"id", os.urandom(8)), (b"correlation-id", b"\xff" * 100_000)),
    ((b"h" * 30_000, b"v" * 30_000),),
)


def _world(broker: KafkaBroker, folder: Path) -> World:
    world = make_world(broker, folder, retry={"attempts": 2, "initial": 0.05, "max": 1})
    (folder / "code" / "poisoned.py").write_text(HANDLER)
    python = contract.Python(function="poisoned:handle", path=str(folder / "code"))
    broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


def _handled(world: World) -> list[str]:
    return lines.written(world.folder / "effects")


def _write(world: World, topic: str, values: Sequence[bytes], written: Headers = (), keys: int = 1000) -> None:
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    for number, value in enumerate(values):
        producer.produce(topic, partition=0, key=b"w-%d" % (number % keys), value=value, headers=list(written))
    assert producer.flush(PATIENCE) == 0


@contextmanager
def _living(world: World) -> Iterator[Running]:
    """A process that must still live, and end well when it is asked to."""
    with consuming(world) as running:
        yield running
        assert running.process.poll() is None, running.log.read_text()
        assert running.stop() == 0, running.log.read_text()


def _letters(world: World) -> list[reading.Letter]:
    with Reader({"bootstrap.servers": world.broker.bootstrap_servers}) as reader:
        return list(reading.outstanding(reader, world.config.topics))


@pytest.mark.case("delivery-5")
@pytest.mark.case("delivery-8")
def test_records_with_any_headers_are_handled_or_dead_lettered(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """In the source topic and in the retry topic; what cannot be read is a dead letter with its key and value.

    Put back, each is handled: those that could not be read have no headers of their own any more.
    """
    world = _world(kafka_broker, tmp_path)
    topics = (world.source, world.config.topics.retry)
    with raw_producer(kafka_broker.bootstrap_servers) as producer:
        for topic in topics:
            for number, written in enumerate(POISON):
                producer.produce(topic, 0, b"key\xff%d" % number, b"reject" if number % 2 else b"ok", written)
    _write(world, world.source, [b"good"] * 5)
    with _living(world):
        until("all", lambda: sum(world.committed(topic).get(0, 0) for topic in topics) == 2 * len(POISON) + 5)
        letters = world.dead_letters(10)
        handled = len(_handled(world))
        with Reader({"bootstrap.servers": kafka_broker.bootstrap_servers}) as reader:
            assert len(list(reading.outstanding(reader, world.config.topics))) == 10
        assert _count(_redriven(world.config, Selection(), Order(redrive_id="r-1", by="ada"))) == 10
        until("what was put back", lambda: len(_handled(world)) == handled + 10)
    unreadable = [one for one in letters if b"not UTF-8" in (dict(one.headers())["__dlq.errors.message"] or b"")]

    assert handled == 11
    assert sorted((one.key(), one.value()) for one in unreadable) == [
        *[(b"key\xff0", b"ok")] * 2,
        *[(b"key\xff1", b"reject")] * 2,
    ]
    assert {_status(one) for one in letters} == {None}


def _status(letter: Message) -> int | None:
    return headers.decode(letter.headers()).status


@pytest.mark.case("delivery-5")
def test_foreign_letters_are_listed_opened_and_put_back(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = _world(kafka_broker, tmp_path)
    odd = (
        *POISON,
        ((b"headrace.first-failed-at", b"9" * 19), (b"headrace.last-failed-at", b"2024-01-01T00:00:00Z")),
        ((b"kafka_dlt-original-topic", b"a b\n"), (b"kafka_dlt-original-offset", b"1" * 300)),
    )
    topics = world.config.topics
    with raw_producer(kafka_broker.bootstrap_servers) as producer:
        for number, written in enumerate(odd):
            producer.produce(topics.dead_letters, 0, b"k%d" % number, b"v", written)
        producer.produce(topics.resolutions, 0, b"9" * 5000 + b"/0", b"{}", ())
        producer.produce(topics.resolutions, 0, b"0/0", b"not JSON", ())
    assert len(_letters(world)) == len(odd) - 1

    opened = _open(world, topics, 0)
    assert opened.resolution is not None
    assert [one.name for one in opened.headers] == ["headrace.unreadable"]
    assert _count(_redriven(world.config, Selection(), Order(redrive_id="r-1", by="ada"))) == len(odd) - 1
    with _living(world):
        until("what was put back", lambda: len(_handled(world)) == len(odd) - 1)


def _count(said: Iterable[answers.Answer]) -> int:
    last = list(said)[-1]
    assert isinstance(last, answers.Done)
    return last.count


def _open(world: World, topics: Topics, offset: int) -> reading.Opened:
    with Reader({"bootstrap.servers": world.broker.bootstrap_servers}) as reader:
        found = reading.find(reader, topics, reading.Place(0, offset))
    assert found is not None
    return found


@pytest.mark.case("delivery-12")
def test_raw_ids_stay_apart_in_deliveries_letters_and_after_a_redrive(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = _world(kafka_broker, tmp_path)
    ids = [os.urandom(8) for _ in range(128)] + [b"i" * 300, b"\xff" * 300, "größe".encode()]
    for written in ids:
        _write(world, world.source, [b"reject"], (("id", written),))
    with _living(world):
        world.dead_letters(len(ids))
        letters = [letter.message_id for letter in _letters(world)]
        assert _count(_redriven(world.config, Selection(), Order(redrive_id="r-1", by="ada"))) == len(ids)
        until("what was put back", lambda: len(_handled(world)) == len(ids))

    assert sorted(_handled(world)) == sorted(map(str, letters)) == sorted(map(parsing.identifier, ids))
    assert len(set(letters)) == len(ids)


@pytest.mark.case("delivery-4")
@pytest.mark.case("delivery-6")
def test_what_a_handler_asks_for_or_does_to_its_task_stays_its_own_matter(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """200 records with more that cancel themselves than there are runners: all others are handled.

    They are of so few keys that the target is not taken for one that fails.
    """
    world = _world(kafka_broker, tmp_path)
    odd = (b"cancel", b"scope", b"text", b"timedelta", b"good")
    _write(world, world.source, [odd[number % 5] for number in range(200)], keys=8)
    with _living(world):
        until("all 200", lambda: world.committed().get(0) == 200)
    letters = _letters(world)

    assert len(_handled(world)) == 120
    assert {letter.error for letter in letters} == {
        "the handler cancelled its own task",
        "later (Retry(after='30') is no length of time, in seconds or a timedelta: ignored)",
    }
    assert len(letters) == 80
    assert _count(_listed(world.config, 0)) == 80


@pytest.mark.case("delivery-6")
@pytest.mark.parametrize(
    "what",
    [b"cancel all", b"exit later", *(pytest.param(one, marks=pytest.mark.sweep) for one in (b"exit beside", b"stop"))],
)
def test_a_process_whose_loop_a_handler_ends_ends_with_a_fault(
    kafka_broker: KafkaBroker, tmp_path: Path, what: bytes
) -> None:
    world = _world(kafka_broker, tmp_path)
    _write(world, world.source, [what])
    with consuming(world) as running:
        assert running.process.wait(timeout=PATIENCE) == 1
        said = running.log.read_text()
    assert "ended by something else than Headrace" in said
    assert 'msg="stopped"' not in said
