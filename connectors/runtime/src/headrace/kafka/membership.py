"""How a pod is a member of its consumer group: by the classic protocol, or by that of KIP-848 (`consumer`).

With the classic one and the range assignor all partitions are taken away and given anew at each change. With the other
the brokers assign, by their own range assignor, and only what moves is taken and given; the client refuses calls that
mean all. How long a member may be silent is then the brokers' setting. Members have no fixed identity in either, as
the pods of a Deployment have none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from headrace.config import Config, GroupProtocol
from headrace.flow.partitions import Partition

SESSION = {"session.timeout.ms": "15000", "heartbeat.interval.ms": "3000"}
"""After how long a silence the group gives a member's partitions to others, with the classic protocol."""

LEAST_SESSION = 15.0
"""Seconds that the brokers' setting is taken for, which pods may not read: a third of what brokers allow by default."""

POLL = {"max.poll.interval.ms": "300000"}
"""The same for a member that is not silent, and does not read."""

BEHIND = 5.0
"""Seconds that the member's epoch may be behind the group's; a heartbeat brings the new one."""

AGAIN = 0.1

METADATA = b"CGMDv2:"
"""How the client begins to say what it is in its group, for transactions; the member's epoch follows, in 4 bytes."""

Answer = TypeVar("Answer")


def tuning(config: Config) -> dict[str, str]:
    """Return what extra properties may set otherwise, less what the protocol leaves to the brokers."""
    return POLL if config.group_protocol == "consumer" else {**SESSION, **POLL}


def allowed(properties: Mapping[str, str], protocol: GroupProtocol) -> dict[str, str]:
    """Return ``properties`` without those that the client refuses with this protocol."""
    refused = SESSION if protocol == "consumer" else {}
    return {name: value for name, value in properties.items() if name not in refused}


def law(protocol: GroupProtocol) -> dict[str, str]:
    """Return what sees to it that partitions of one number come to one member, which no extra property changes."""
    if protocol == "consumer":
        return {"group.protocol": "consumer", "group.remote.assignor": "range"}
    return {"group.protocol": "classic", "partition.assignment.strategy": "range"}


def session(config: Config) -> float:
    """Return the seconds of silence after which the group takes this member for gone, at the least."""
    if config.group_protocol == "consumer":
        return LEAST_SESSION
    return int({**SESSION, **config.kafka.properties}["session.timeout.ms"]) / 1000


def pause(config: Config) -> float:
    """Return the seconds without reading after which the group takes this member for gone."""
    return int({**POLL, **config.kafka.properties}["max.poll.interval.ms"]) / 1000


class Membership:
    """Tells a client what the group gives it and takes from it, as the protocol wants it."""

    def __init__(self, protocol: GroupProtocol) -> None:
        self._is_stepwise = protocol == "consumer"

    def has_joined(self, client: Consumer) -> bool:
        """Return whether the client is a member that may be left without partitions, of which it is told nothing.

        False with the classic protocol, where the group gives even that.
        """
        said = client.consumer_group_metadata() if self._is_stepwise else b""
        epoch = said.removeprefix(METADATA)[:4]
        return said.startswith(METADATA) and int.from_bytes(epoch, sys.byteorder, signed=True) > 0

    def take(self, client: Consumer, starts: Sequence[TopicPartition]) -> None:
        """Read what was given."""
        if self._is_stepwise:
            client.incremental_assign(starts)
        else:
            client.assign(starts)

    def leave(self, client: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Read no more of what was taken away; with the classic protocol that is everything."""
        if self._is_stepwise:
            client.incremental_unassign(partitions)
        else:
            client.unassign()

    def move(self, client: Consumer, starts: Sequence[TopicPartition], moved: Collection[Partition]) -> None:
        """Read on at ``starts``, of all that is assigned, of which ``moved`` are others than before."""
        if not self._is_stepwise:
            client.assign(starts)
            return
        some = [one for one in starts if (one.topic, one.partition) in moved]
        client.incremental_unassign(some)
        client.incremental_assign(some)


def with_epoch(call: Callable[[], Answer]) -> Answer:
    """Return the answer of ``call``, made again while the group refuses this member for an epoch that is behind."""
    deadline = time.monotonic() + BEHIND
    while True:
        try:
            return call()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.STALE_MEMBER_EPOCH or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN)
