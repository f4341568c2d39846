"""Kafka's client as tests use it: what a broker that is new or busy cannot answer yet is asked again."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.waiting import PATIENCE

NOT_YET = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
    }
)
"""What a broker answers that is new or busy, or has just been started anew: it is asked again."""

Answer = TypeVar("Answer")


def answered(ask: Callable[[], Answer]) -> Answer:
    """Return what Kafka answers, asked again while it answers `NOT_YET`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def write_commits(connection: dict[str, str], group: str, places: Sequence[TopicPartition]) -> None:
    """Commit in the name of a group that has no members now."""
    with closing(Consumer({**connection, "group.id": group})) as client:
        written = answered(lambda: client.commit(offsets=list(places), asynchronous=False))
    assert [one.error for one in written] == [None] * len(places), written


def hide(connection: dict[str, str], topic: str) -> Producer:
    """Open a transaction in partition 0 of ``topic``: who reads what is committed sees nothing behind it."""
    transaction = {"transactional.id": f"open-{topic}", "transaction.timeout.ms": str(int(PATIENCE * 1000))}
    producer = Producer({**connection, **transaction})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(topic, b"{}", key=b"nobody's", partition=0)
    assert producer.flush(PATIENCE) == 0
    return producer


LEAVE_GROUP, VERSION = 13, 3


def bury(admin: AdminClient, servers: str, group: str) -> None:
    """Let a group of the classic protocol go on without its members, who have ended without a word.

    Else it does after their session: one that is short enough to be waited for ends by itself where a machine is slow.
    Asks the one broker at ``servers`` for all of them what each asks for itself (LeaveGroup, as Kafka's protocol guide
    has it); raises ``AssertionError`` where it answers with an error.
    """
    members = answered(lambda: admin.describe_consumer_groups([group])[group].result(timeout=PATIENCE)).members
    each = b"".join(_text(one.member_id) + struct.pack(">h", -1) for one in members)
    asked = struct.pack(">hhih", LEAVE_GROUP, VERSION, 0, -1) + _text(group) + struct.pack(">i", len(members)) + each
    host, port = servers.split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection, connection.makefile("rb") as answer:
        connection.sendall(struct.pack(">i", len(asked)) + asked)
        (size,) = struct.unpack(">i", answer.read(4))
        _, _, error = struct.unpack_from(">iih", answer.read(size))
    assert error == 0, f"leaving {group} for {len(members)} members: error {error} of Kafka"


def _text(value: str) -> bytes:
    return struct.pack(">h", len(value.encode())) + value.encode()
