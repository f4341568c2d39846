"""What the group has given to a member, until the group has told what is committed of it.

A coordinator that is slow, or moves, tells it late. A member that would end for that would come back, and ask as many
others to begin anew with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from headrace.flow.partitions import Partition, listed
from headrace.kafka.membership import with_epoch

log = logging.getLogger(__name__)

ANSWER = 5.0
"""Seconds that the group has to tell it: less than half of a session, as the poll thread waits.

Then as long is read, and whatever else, before it is asked anew.
"""

REFUSED = frozenset({KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})


class Given:
    """The partitions of which that is not known."""

    def __init__(self) -> None:
        self._left: dict[Partition, TopicPartition] = {}
        self._said = ""
        self._due = 0.0

    def is_due(self, now: float) -> bool:
        """Whether there are some, and the group may be asked: not while all else would wait for it most of the time."""
        return bool(self._left) and now >= self._due

    def __len__(self) -> int:
        return len(self._left)

    def add(self, partitions: Iterable[TopicPartition]) -> None:
        """Note that these are given."""
        self._left |= {(one.topic, one.partition): one for one in partitions}

    def others(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Forget these, which are taken away; return those of them of which all was known."""
        return [one for one in partitions if self._left.pop((one.topic, one.partition), None) is None]

    def clear(self) -> None:
        """Forget all."""
        self._left.clear()

    def take(self, client: Consumer) -> list[TopicPartition] | None:
        """Return all with what is committed, which is known from now on; None where the group does not tell now.

        Raises KafkaException where it refuses to.
        """
        began = time.monotonic()
        try:
            found = with_epoch(lambda: _committed(client, [*self._left.values()]))
        except KafkaException as error:
            if error.args[0].fatal() or error.args[0].code() in REFUSED:
                raise
            self._due = 2 * time.monotonic() - began
            self._say(f"{listed(self._left)}: {error.args[0].str()}")
            return None
        self._left.clear()
        return found

    def _say(self, what: str) -> None:
        if what != self._said:
            log.warning("not read yet, as the group does not tell what is committed, asking again: %s", what)
        self._said = what


def _committed(client: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
    found = list(client.committed(partitions, timeout=ANSWER))
    for one in found:
        if one.error is not None:
            raise KafkaException(one.error)
    return found
