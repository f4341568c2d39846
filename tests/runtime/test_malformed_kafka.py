"""10,000 malformed records for a real consumer process: each is handled or dead-lettered, whole; the process lives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Message

from headrace import config as contract
from headrace import headers
from headrace.record import Headers
from tests import lines
from tests.kafka_broker import KafkaBroker
from tests.raw_producer import raw_producer
from tests.runtime import malformed
from tests.runtime.consumer_process import World, consuming, make_world
from tests.runtime.malformed import Malformed
from tests.waiting import until

pytestmark = pytest.mark.slow

PARTITIONS = 4
SEED, SOURCE, RETRY = 9, 8_000, 2_000
MARK = b"#retry-"

HANDLER = """
import hashlib, os
import headrace
from headrace import headers

OUT = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

async def handle(record):
    is_parked = record.source.topic.endswith(".outbox.order") and record.source.topic != record.topic
    at, own = (record.source, headers.original(record.headers)) if is_parked else (record, record.headers)
    what = hashlib.sha256(repr((record.key, record.value, own)).encode()).hexdigest()
    match int(what[0], 16) % 4:
        case 0:
            event = record.json()
            event["after"]["amount"] + 1
        case 1:
            raise headrace.Reject(record.text())
        case 2 if record.attempt == 1:
            raise OSError(record.key_text(), record.message_id, record.correlation_id)
    where = f"{at.topic} {at.partition} {at.offset}"
    os.write(OUT, f"{where} {what}\\n".encode())
"""


def _world(broker: KafkaBroker, folder: Path) -> World:
    world = make_world(broker, folder, topics=False, retry={"attempts": 2, "initial": 0.01, "max": 1}, concurrency=64)
    any_time = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}
    for topic in (world.source, world.config.topics.retry):
        broker.create_topic(topic, PARTITIONS, any_time)
    broker.create_topic(world.config.topics.dead_letters, PARTITIONS)
    (folder / "code" / "odd.py").write_text(HANDLER)
    python = contract.Python(function="odd:handle", path=str(folder / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


def _write(world: World, topic: str, records: list[Malformed]) -> dict[tuple[str, int, int], Malformed]:
    """Write the records in turn into all partitions; return where each is."""
    with raw_producer(world.broker.bootstrap_servers) as producer:
        for number, one in enumerate(records):
            producer.send(topic, number % PARTITIONS, one.key, one.value, one.written, one.timestamp)
        producer.flush()
    return {(topic, number % PARTITIONS, number // PARTITIONS): one for number, one in enumerate(records)}


def _handled(world: World) -> dict[tuple[str, int, int], str]:
    found = {}
    for line in lines.written(world.folder / "effects"):
        topic, partition, offset, digest = line.split()
        assert (topic, int(partition), int(offset)) not in found, "handled twice"
        found[topic, int(partition), int(offset)] = digest
    return found


def _digest(one: Malformed) -> str:
    return hashlib.sha256(repr((one.key, one.value, one.headers)).encode()).hexdigest()


def _headers(letter: Message) -> Headers | None:
    try:
        return tuple(letter.headers() or ())
    except (KafkaException, UnicodeDecodeError, SystemError):
        return None


def _place(letter: Message, retried: dict[bytes | None, tuple[str, int, int]]) -> tuple[str, int, int]:
    """Return where the record of a letter was read: what lay in the retry topic may claim any origin."""
    found = headers.decode(_headers(letter) or ()).origin
    return retried.get(letter.key()) or tuple(found or ("", 0, 0))  # type: ignore[return-value]


def test_ten_thousand_malformed_records_end_handled_or_dead_lettered_and_whole(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    world = _world(kafka_broker, tmp_path)
    written = _write(world, world.source, malformed.some(SEED, SOURCE))
    retried = _write(world, world.config.topics.retry, malformed.some(SEED + 1, RETRY, MARK))
    by_key = {one.key: place for place, one in retried.items()}
    written.update(retried)
    with consuming(world) as running:
        until("all", lambda: _is_all_committed(world))
        until("what was done to be told", lambda: running.get("/metrics")[0] == 200)
        count = int(running.metric("headrace_consumer_dead_letters_total"))
        letters = {_place(letter, by_key): letter for letter in world.dead_letters(count)}
        assert running.process.poll() is None
        assert running.stop() == 0
        log = running.log.read_text()
    handled = _handled(world)

    assert len(letters) == count
    assert handled.keys() | letters.keys() == written.keys()
    assert not handled.keys() & letters.keys()
    assert [place for place, digest in handled.items() if digest != _digest(written[place])] == []
    assert [place for place, one in letters.items() if (one.key(), one.value()) != _whole(written[place])] == []
    assert [place for place, one in letters.items() if not _keeps_headers(one, written[place], place in retried)] == []
    assert {place for place, one in written.items() if one.headers is None} <= letters.keys()
    assert len(handled) > 2000
    assert len(letters) > 2000
    assert "This is a bug" not in log


def _is_all_committed(world: World) -> bool:
    topics = (world.source, world.config.topics.retry)
    return all(len(world.committed(topic)) == PARTITIONS for topic in topics) and not world.lag()


def _whole(one: Malformed) -> tuple[bytes | None, bytes | None]:
    return one.key, one.value


def _keeps_headers(letter: Message, one: Malformed, is_retried: bool) -> bool:
    """Whether the record's own headers are in its letter; in the retry topic, those that look like ours are ours."""
    if is_retried or one.headers is None:
        return True
    return headers.original(_headers(letter) or ()) == one.headers
