"""Writes what is parked into the retry topic, each at the partition of its source: in order, and with no gap.

Owned by the poll thread. Nothing counts as written before all in-sync replicas have it. When Kafka does not take a
record, nothing after it is taken either (librdkafka's gapless guarantee), as the producer ends: a new one goes on with
the first that is not written. It begins with one record and sends twice as many after each that succeeds (as TCP's
slow start), so that what is refused by itself is soon known: Kafka refuses a batch for one record of it. Is it for its
size, the record is written without its value, as a pointer to the record, and keeps its place; a long key has its
digest there, by which its lane is known.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from headrace import headers
from headrace.config import Config
from headrace.flow.finished import Finished
from headrace.flow.lanes import short_key
from headrace.kafka.connection import Login
from headrace.kafka.producer import NotSent, Producer, Written
from headrace.letters import pointers
from headrace.letters.writing import AGAIN, REFUSED, REFUSED_AGAIN

log = logging.getLogger(__name__)

MOST = 1_000
"""Records under way at once."""

LAST = 5.0
"""Seconds that a producer which has ended has to say what was written."""


class _Draft:
    """A record to write, whose headers for the retry topic are its ``letter``."""

    __slots__ = ("is_pointer", "letter", "written")

    def __init__(self, letter: Finished) -> None:
        self.letter = letter
        self.is_pointer = False
        self.written = False


class Parked:
    """The producer of the retry topic and what is not yet acknowledged, in order."""

    def __init__(self, config: Config, written: Callable[[Finished], None]) -> None:
        """``written`` is called, from `serve`, with each record that Kafka has."""
        self._topic = config.topics.retry
        self._written = written
        self._drafts: deque[_Draft] = deque()
        self._sent = 0
        self._window = MOST
        self._due = 0.0
        self._unreported = 0
        self._error: NotSent | None = None
        self._ended: float | None = None
        self._refused: float | None = None
        self._why = ""
        self._heard = 0.0
        self.refusal: str | None = None
        self._producer = Producer(config, self._topic, gapless=True)

    @property
    def outstanding(self) -> int:
        """How many records are not written yet."""
        return len(self._drafts)

    def log_in(self, login: Login) -> None:
        """Log in as this user from the next connection on."""
        self._producer.log_in(login)

    def reopen(self) -> None:
        """Go on with a new client from the first record that is not known to be written."""
        self._producer.reopen()
        self._drafts = deque(one for one in self._drafts if not one.written)
        self._sent = self._unreported = 0
        self._error = self._ended = None

    def write(self, record: Finished) -> None:
        """Write a record behind all others."""
        self._drafts.append(_Draft(record))

    def look_anew(self) -> None:
        """Ask how many partitions the topic has before the next record: it grows with its sources."""
        self._producer.look_anew()

    def serve(self) -> None:
        """Send what is due and learn what was written; called often, blocks as long as `Producer.send`.

        `refusal` says since then whether Kafka refuses a record for long, and why.
        """
        now = time.monotonic()
        if now >= self._due and self._ended is None:
            self._send()
        if self._unreported:
            self._producer.poll(0)
        self._listen(now)
        if self._error is not None or self._producer.has_ended:
            self._end(now)
        standing = self._refused is not None and now - self._refused >= REFUSED
        self.refusal = f"Kafka refuses records in {self._topic}: {self._why}" if standing else None

    def _listen(self, now: float) -> None:
        """Say it when nothing is written for long, which the client, without an end to its patience, does not."""
        if not self._unreported:
            self._heard = now
        elif now - self._heard >= REFUSED:
            self._heard = now
            cause = "no broker answers, or too few replicas are in sync (min.insync.replicas)"
            log.error("nothing is written to %s for %.0f s, so records wait: %s", self._topic, REFUSED, cause)

    def _send(self) -> None:
        while self._sent < min(self._window, len(self._drafts)):
            draft = self._drafts[self._sent]
            if draft.letter.assignment.given_away:
                del self._drafts[self._sent]
                continue
            try:
                self._produce(draft)
            except NotSent as error:
                self._error = error
                return
            except BufferError:
                return

    def _produce(self, draft: _Draft) -> None:
        record, own = draft.letter.record, draft.letter.letter or ()
        if draft.is_pointer:
            own = (*headers.added(own), *pointers.encode(pointers.to(record)))
        self._producer.send(
            record.partition,
            key=short_key(record.key) if draft.is_pointer and record.key is not None else record.key,
            value=None if draft.is_pointer else record.value,
            headers=own,
            delivered=partial(self._delivered, draft),
        )
        self._sent += 1
        self._unreported += 1

    def _delivered(self, draft: _Draft, outcome: NotSent | Written) -> None:
        self._unreported -= 1
        if isinstance(outcome, NotSent):
            self._error = self._error or outcome
            return
        draft.written = True
        self._heard = time.monotonic()
        self._refused = None
        self._window = min(MOST, 2 * self._window)
        while self._drafts and self._drafts[0].written:
            self._drafts.popleft()
            self._sent -= 1
        self._written(draft.letter)

    def _end(self, now: float) -> None:
        """Begin anew once all that was sent is known to be written or not, or after `LAST` seconds."""
        self._ended = self._ended or now
        if self._unreported and now - self._ended < LAST:
            return
        error, alone = self._error, self._sent <= 1
        self.reopen()
        self._window = 1
        if error is None:
            self._due = now + AGAIN
        elif alone and self._drafts:
            self._failed(self._drafts[0], error, now)

    def _failed(self, draft: _Draft, error: NotSent, now: float) -> None:
        place = "{}/{}@{}".format(*draft.letter.record.source)
        if error.is_for_size and not draft.is_pointer:
            log.warning("%s is too large for %s: what is written there points to it", place, self._topic)
            draft.is_pointer = True
            return
        self._due = now + (REFUSED_AGAIN if error.is_refusal else AGAIN)
        log.error("%s, whose key is parked, is not written to %s, trying again: %s", place, self._topic, error)
        if error.is_refusal:
            self._refused, self._why = self._refused or now, str(error)
