"""Leaves the group as the process ends: within seconds, also where Kafka does not answer. For the poll thread."""

from __future__ import annotations

import logging
import threading

from headrace.kafka.consumer import Source

log = logging.getLogger(__name__)

LAST = 4.0
"""Seconds that Kafka has to answer the last commits, and then the group to be left: before the watchdog ends all."""


def leave(source: Source) -> None:
    """Leave once all commits are answered; what is not answered in time is left to who has the partitions next."""
    if not source.settle(LAST):
        log.warning("Kafka does not say whether offsets are committed: what was finished last may be delivered again")
        return
    closing = threading.Thread(target=source.close, name="leave", daemon=True)
    closing.start()
    closing.join(LAST)
    if closing.is_alive():
        log.warning("the group does not answer: it gives the partitions to others when the session is over")
