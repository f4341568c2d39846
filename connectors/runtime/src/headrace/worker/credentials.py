"""The mounted credentials, followed: what was rotated reaches the clients without a new pod.

The poll thread alone owns it. A login is told to the clients; certificates are read by new ones only, so they are
opened anew, between which the partitions are let go. It must not write a secret anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from headrace.config import Kafka
from headrace.kafka import connection
from headrace.kafka.connection import Mounted
from headrace.kafka.consumer import Source
from headrace.letters.parking import Parked
from headrace.letters.writing import Letters

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0


class Credentials:
    """What the clients have of what is mounted; made before they are, so that no rotation falls between."""

    def __init__(self, kafka: Kafka) -> None:
        """Read the files; raises ``OSError`` when one is of no use."""
        self._kafka = kafka
        self._known = connection.mounted(kafka)
        self._looked_at = 0.0
        self._unread: str | None = None

    def follow(self, source: Source, writers: Collection[Letters | Parked], now: float) -> None:
        """Look every `LOOK_EVERY` seconds, and let the clients have what is new."""
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        found, before = self._read(), self._known
        if found == before:
            return
        self._known = found
        if changed := [one for one, read in found.at_start.items() if read != before.at_start[one]]:
            log.info("the %s changed: leaving the group, to come back with new clients", " and the ".join(changed))
            source.reopen()
            for writer in writers:
                writer.reopen()
        elif found.login is not None:
            log.info("the login to Kafka changed: it is used from the next connection on")
            source.log_in(found.login)
            for writer in writers:
                writer.log_in(found.login)

    def _read(self) -> Mounted:
        """Return what is mounted; what cannot be read is as it was, and said once."""
        try:
            found = connection.mounted(self._kafka)
        except OSError as error:
            if str(error) != self._unread:
                log.warning("the mounted credentials cannot be read, the last ones stay in use: %s", error)
            self._unread = str(error)
            return self._known
        self._unread = None
        return found
