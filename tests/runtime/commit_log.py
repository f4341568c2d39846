"""All that a group has ever committed, in order, from Kafka's own log of it; and what in it is taken back.

The topic `__consumer_offsets` has a record for each commit (`OffsetCommitKey.json`, `OffsetCommitValue.json` in Kafka's
sources): the broker writes there what it accepted, whoever sent it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from headrace.flow import offset_map
from headrace.flow.partitions import Partition
from headrace.progress import decode
from tests.kafka_broker import KafkaBroker
from tests.waiting import PATIENCE

OFFSETS = "__consumer_offsets"


class Commit(NamedTuple):
    """An offset of a partition with its metadata."""

    partition: Partition
    offset: int
    metadata: str

    @property
    def done(self) -> frozenset[int]:
        """The offsets beyond the committed one that it says are finished."""
        told = decode(self.metadata)
        known = offset_map.decode(told.map) if told and told.map else None
        return frozenset(number for first, end in known.done for number in range(first, end)) if known else frozenset()


def commits(broker: KafkaBroker, group: str) -> list[Commit]:
    """Return what was committed for ``group``, the commits of each partition in order."""
    return [one for message in _messages(broker) if (one := _commit(message, group))]


def taken_back(found: Sequence[Commit]) -> list[str]:
    """Return a sentence for each commit that says less than the one before it: of a lower offset, or of less done."""
    said: list[str] = []
    before: dict[Partition, Commit] = {}
    for one in found:
        last = before.get(one.partition)
        before[one.partition] = one
        if last is None:
            continue
        if one.offset < last.offset:
            said.append(f"{one.partition} was committed at {one.offset} after {last.offset}")
        gone = {number for number in last.done - one.done if number >= one.offset}
        if gone:
            said.append(f"{one.partition}@{one.offset} no longer says that {sorted(gone)} are done")
    return said


def _messages(broker: KafkaBroker) -> Iterator[Message]:
    settings = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "commit-log", "enable.partition.eof": "true"}
    client = Consumer({**settings, "enable.auto.commit": "false"})
    try:
        numbers = client.list_topics(OFFSETS, timeout=PATIENCE).topics[OFFSETS].partitions
        client.assign([TopicPartition(OFFSETS, number, OFFSET_BEGINNING) for number in numbers])
        ended: set[int | None] = set()
        while len(ended) < len(numbers):
            message = client.poll(PATIENCE)
            assert message is not None, f"{OFFSETS} is not read to its end"
            if (error := message.error()) is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
    finally:
        client.close()


def _commit(message: Message, group: str) -> Commit | None:
    key, value = message.key(), message.value()
    if not isinstance(key, bytes) or value is None or struct.unpack_from(">h", key)[0] not in (0, 1):
        return None
    name, at = _text(key, 2)
    topic, at = _text(key, at)
    if name != group:
        return None
    (number,) = struct.unpack_from(">i", key, at)
    version, offset = struct.unpack_from(">hq", value)
    said = _metadata(value, version).removesuffix("\0")  # which Python's client adds
    return Commit((topic, number), offset, said)


def _metadata(value: bytes, version: int) -> str:
    at = 14 if version >= 3 else 10
    if version < 4:
        return _text(value, at)[0]
    length, shift = 0, 0
    while True:  # an unsigned varint: one more than the length
        byte = value[at]
        at, length, shift = at + 1, length | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return value[at : at + length - 1].decode()


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length
