"""What is given away is given with what is committed of it: the client gives it though a commit is tried again later.

So the group is asked, before it is let go. The client's callback may not listen for the answer to the commit itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headrace.kafka.sent import content

log = logging.getLogger(__name__)

WAIT, AGAIN = 5.0, 0.1
"""Seconds that the group has, less than half of a session, and after which it is told again."""


def await_taken(client: Consumer, commit: list[TopicPartition], send: Callable[[list[TopicPartition]], None]) -> None:
    """Return once the group has ``commit``, which was sent and is sent again meanwhile, or does not take it in time."""
    deadline = time.monotonic() + WAIT
    while commit and not _has(client, commit, deadline):
        if time.monotonic() + AGAIN > deadline:
            log.warning("giving away what Kafka does not say is committed: what was finished last may come again")
            return
        time.sleep(AGAIN)
        send(commit)


def _has(client: Consumer, commit: list[TopicPartition], deadline: float) -> bool:
    asked = [TopicPartition(one.topic, one.partition) for one in commit]
    try:
        found = client.committed(asked, timeout=max(AGAIN, deadline - time.monotonic()))
    except KafkaException:
        return False
    return content(found) == content(commit)
