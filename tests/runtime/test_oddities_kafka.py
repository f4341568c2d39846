"""Logs as they are: with gaps that compaction and transactions left, tombstones, no keys, and names that come twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from headrace import config as contract
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import World, consuming, make_world
from tests.runtime.test_markers_kafka import transaction
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

Told = tuple[int, str | None, str | None, list[list[str | None]]]
"""Offset, key, value and headers of a record."""

KEYS, TURNS = 10, 4
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "100",
}
REPEATED = (("a", b"1"), ("b", b""), ("a", b"2"), ("a", None))

HANDLER = """
import json, os

OUT = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def text(part):
    return None if part is None else part.decode()

def handle(record):
    if record.value == b"wait" and not os.path.exists(os.environ["EFFECTS"] + ".let-go"):
        raise RuntimeError("not yet")
    said = [record.offset, text(record.key), text(record.value), [[name, text(one)] for name, one in record.headers]]
    os.write(OUT, (json.dumps({"what": "done", "said": said}) + "\\n").encode())
"""


def test_a_log_with_gaps_and_odd_records_is_handled_whole_and_once(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Behind a record that waits, over an orderly restart: what is done beyond it is told across the gaps."""
    world = odd_world(kafka_broker, tmp_path)
    write(world, [("first", b"wait", ())])
    leave_gaps(world)
    odd = [("k1", None, ()), (None, b"no key", ()), (None, None, ()), ("", b"", ()), ("k1", b"again", REPEATED)]
    write(world, odd)
    transaction(kafka_broker, world.source, 0, [b"never"], commit=False)
    expected = visible(world)
    assert len(expected) < expected[-1][0]

    with consuming(world) as running:
        until("all but the first", lambda: sorted(said(world)) == expected[1:])
        assert running.stop() == 0
    (tmp_path / "effects.let-go").touch()
    with consuming(world) as running:
        until("the first", lambda: len(said(world)) >= len(expected))
        until("no lag", lambda: world.lag() == 0 and world.committed()[0] > expected[-1][0])
        assert running.stop() == 0
    assert sorted(said(world)) == expected


def odd_world(broker: KafkaBroker, folder: Path) -> World:
    """Make a Consumer of a compacted partition whose handler says what it was given, and keeps `wait` waiting."""
    retry = {"attempts": 100_000, "initial": 0.1, "factor": 1, "max": 0.1}
    world = make_world(broker, folder, topics=False, retry=retry)
    broker.create_topic(world.source, 1, COMPACTED)
    for topic in (world.config.topics.retry, world.config.topics.dead_letters):
        broker.create_topic(topic, 1)
    (folder / "code" / "odd_handler.py").write_text(HANDLER)
    python = contract.Python(function="odd_handler:handle", path=str(folder / "code"))
    config = world.config.model_copy(update={"handler": contract.Handler(python=python)})
    return World(broker=broker, config=config, folder=folder)


def write(world: World, records: Sequence[tuple[str | None, bytes | None, Sequence[tuple[str, bytes | None]]]]) -> None:
    """Write records of key, value and headers, and wait until Kafka has them."""
    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    for key, value, headers in records:
        producer.produce(world.source, value, key=key, headers=list(headers))
    assert producer.flush(PATIENCE) == 0


def leave_gaps(world: World) -> None:
    """Let compaction leave records out, then transactions, of which one is aborted, leave their markers."""
    for turn in range(TURNS):
        write(world, [(f"k{key}", b"%d" % turn, ()) for key in range(KEYS)])
        time.sleep(0.2)  # a segment ends with the first record that is so much later
    write(world, [("end", b"of what is compacted", ())])
    until("compaction", lambda: len(visible(world)) <= (TURNS - 1) * KEYS)
    world.broker.alter(world.source, "cleanup.policy", "delete")
    for commit in (True, False, True):
        transaction(world.broker, world.source, 0, [b"one", b"two"], commit=commit)


def visible(world: World) -> list[Told]:
    """Return offset, key, value and headers of all that a plain client reads of the source."""
    settings = {"bootstrap.servers": world.broker.bootstrap_servers, "group.id": "look", "enable.partition.eof": "true"}
    client = Consumer(settings)
    try:
        client.assign([TopicPartition(world.source, 0, OFFSET_BEGINNING)])
        found: list[Told] = []
        while (message := client.poll(PATIENCE)) is not None:
            if (error := message.error()) is None:
                found.append(shown(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
        raise AssertionError(f"{world.source} is not read to its end")
    finally:
        client.close()


def shown(message: Message) -> Told:
    headers = [[name, text(value)] for name, value in message.headers() or ()]
    return message.offset() or 0, text(message.key()), text(message.value()), headers


def text(part: object) -> str | None:
    return part.decode() if isinstance(part, bytes) else None if part is None else str(part)


def said(world: World) -> list[Told]:
    """Return offset, key, value and headers of all that the handler was given."""
    return [cast(Told, tuple(cast(list[object], effect["said"]))) for effect in world.effects()]
