"""By which leader what was read was written, of each partition, so that its log can be told from one that was cut.

A leader epoch stands for the log up to the end of what that leader wrote (KIP-320). So it goes with an offset up to the
one after the last record read, and not with one beyond: what lies between, as the end of a transaction, is not shown,
and may be of a later leader.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from headrace.flow.partitions import Partition
from headrace.record import Record

NONE = -1
"""How the client is told that no epoch is known."""


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


class Comparison:
    """Lets the client ask leaders whether their logs are the ones that were read; by an assignment it does not ask.

    It takes the question once it has begun with a partition: not before it has ended what was assigned until then, and
    not after it found that the offset is out of range.
    """

    def __init__(self) -> None:
        self._left: dict[Partition, TopicPartition] = {}

    @property
    def left(self) -> Collection[Partition]:
        """What is not compared yet; what is read of it comes again."""
        return self._left.keys()

    def begin(self, starts: Iterable[TopicPartition]) -> None:
        """Compare the logs with what was read up to ``starts``, where it is known who wrote that."""
        known = (at for at in starts if at.offset > 0 and at.leader_epoch is not None)
        self._left |= {(at.topic, at.partition): at for at in known}

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Leave out these, which are lost, read elsewhere or given away."""
        for partition in partitions:
            self._left.pop(partition, None)

    def ask(self, client: Consumer) -> None:
        """Have the client ask about what is left, as far as it takes that now; raises KafkaException when it cannot.

        A log that was cut and written anew is one of which the offset is out of range.
        """
        self._left = {name: at for name, at in self._left.items() if not _sought(client, at)}


def _sought(client: Consumer, start: TopicPartition) -> bool:
    """Seek to ``start``; False where the client has not begun with the partition."""
    try:
        client.seek(start)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._STATE:
            raise
        return False
    return True
