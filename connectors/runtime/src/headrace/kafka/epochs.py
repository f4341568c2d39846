"""By which leader what was read was written, of each partition, so that its log can be told from one that was cut.

A leader epoch stands for the log up to the end of what that leader wrote (KIP-320). So it goes with an offset up to the
one after the last record read, and not with one beyond: what lies between, as the end of a transaction, is not shown,
and may be of a later leader.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from headrace.flow.partitions import Partition
from headrace.record import Record

NONE = -1
"""How the client is told that no epoch is known."""

PATIENCE, AGAIN = 20.0, 0.01
"""Seconds that a client has to begin with what was assigned to it, and between looks.

On a processor that others use it was seen to take more than 5; after 30 without a turn the pod counts as stuck.
"""


class Epochs:
    """The epoch of what was read last, with the offset after it."""

    def __init__(self) -> None:
        self._known: dict[Partition, tuple[int, int]] = {}

    def begin(self, starts: Iterable[TopicPartition]) -> None:
        """Note where partitions are read from, and what the commit says of the record before."""
        for at in starts:
            epoch = NONE if at.leader_epoch is None else at.leader_epoch
            self._known[at.topic, at.partition] = at.offset, epoch

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Know nothing of these, which are read elsewhere from now on."""
        for partition in partitions:
            self._known.pop(partition, None)

    def read(self, records: Iterable[Record]) -> None:
        """Note the last record of each partition."""
        last = {(record.topic, record.partition): record for record in records}
        for partition, record in last.items():
            self._known[partition] = record.offset + 1, NONE if record.leader_epoch is None else record.leader_epoch

    def of(self, partition: Partition, offset: int) -> int:
        """Return the epoch that goes with ``offset``, or NONE."""
        end, epoch = self._known.get(partition, (0, NONE))
        return epoch if offset <= end else NONE


def compare(client: Consumer, starts: Iterable[TopicPartition]) -> None:
    """Let the client ask the leaders whether their logs are the ones that were read up to ``starts``.

    Where one was cut and written anew, the offset counts as out of range. By an assignment alone it does not ask.
    Raises KafkaException when the client does not begin with one of them.
    """
    deadline = time.monotonic() + PATIENCE
    for start in starts:
        if start.offset > 0 and start.leader_epoch is not None:
            _seek(client, start, deadline)


def _seek(client: Consumer, start: TopicPartition, deadline: float) -> None:
    """Seek, again while the client has not begun with the partition: it first ends what was assigned before."""
    while True:
        try:
            client.seek(start)
            return
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN)
