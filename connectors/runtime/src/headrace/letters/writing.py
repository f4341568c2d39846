"""Writes dead letters: each at the partition of its source, again and again until Kafka has it.

Owned by the poll thread. It must not count a letter as written before all in-sync replicas have it, nor hand one to the
producer whose partition was given away: the new owner writes its own. What the producer already has cannot be recalled.

Kafka refuses a batch for one of its records. So what was refused is sent again by itself; and if its size is the
reason, it is written without its value, as a pointer to the record.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from headrace import headers
from headrace.config import Config
from headrace.flow.finished import Finished
from headrace.kafka.connection import Login
from headrace.kafka.producer import NotSent, Producer, Written
from headrace.letters import pointers
from headrace.metrics import Metrics

log = logging.getLogger(__name__)

AGAIN = 2.0
"""Seconds before a letter that Kafka did not take is written again."""

REFUSED_AGAIN = 10.0
"""The same for one that Kafka refuses, which somebody has to mend."""

PATIENCE, STEP = 0.2, 0.01
"""Seconds that one turn gives to what was refused, and between looks for the answer."""

REFUSED = 30.0
"""Seconds that Kafka may refuse a letter before the pod is not ready for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A letter to write from ``due`` on; refused since ``refused``, it is sent by itself."""

    letter: Finished
    due: float = 0.0
    refused: float | None = None
    is_pointer: bool = False


class Letters:
    """The producer of dead letters and those not yet acknowledged."""

    def __init__(self, config: Config, metrics: Metrics, written: Callable[[Finished, Written], None]) -> None:
        """``written`` is called, from `serve`, with each letter that Kafka has, and where."""
        self._topic = config.topics.dead_letters
        self._metrics = metrics
        self._written = written
        self._waiting: deque[Draft] = deque()
        self._refused: deque[Draft] = deque()
        self._alone = False
        self._sent = 0
        self._why = ""
        self.refusal: str | None = None
        self._producer = Producer(config, self._topic)

    @property
    def outstanding(self) -> int:
        """How many letters are not written yet."""
        return self._sent + len(self._waiting) + len(self._refused)

    def log_in(self, login: Login) -> None:
        """Log in as this user from the next connection on."""
        self._producer.log_in(login)

    def reopen(self) -> None:
        """Go on with a client that reads the mounted files anew; what was under way is its new owner's to write."""
        self._producer.reopen()
        self._sent = 0

    def write(self, letter: Finished) -> None:
        """Begin to write a letter."""
        self._waiting.append(Draft(letter=letter))

    def look_anew(self) -> None:
        """Ask how many partitions the topic has before the next letter: it grows with its sources."""
        self._producer.look_anew()

    def serve(self) -> None:
        """Send what is due and learn what was written; called often, blocks as long as `Producer.send`.

        `refusal` says since then whether Kafka refuses a letter for long, and why. Raises Fatal when the producer is of
        no more use.
        """
        now = time.monotonic()
        if self._sent == 0:
            self._alone = False
        if self._refused and self._refused[0].due <= now:
            self._send_refused(now)
        else:
            self._send_batch(now)
        if self._sent:
            self._producer.poll(0)
        self._producer.check()
        self.refusal = self._standing(now)

    def _send_batch(self, now: float) -> None:
        while not self._alone and self._waiting and self._waiting[0].due <= now:
            if not self._send(self._waiting.popleft()):
                return

    def _send_refused(self, now: float) -> None:
        """Send what was refused, one after another, once nothing else is under way; then let the others go on."""
        while self._sent == 0 and self._refused and time.monotonic() < now + PATIENCE and self._refused[0].due <= now:
            self._alone = self._send(self._refused.popleft())
            while self._sent and time.monotonic() < now + PATIENCE:
                self._producer.poll(STEP)
        if self._sent == 0:
            self._alone = False
            self._send_batch(now)

    def _send(self, draft: Draft) -> bool:
        if draft.letter.assignment.given_away:
            return True
        try:
            self._produce(draft)
        except NotSent as error:
            self._failed(draft, error)
            return False
        except BufferError:
            self._waiting.appendleft(draft)
            return False
        return True

    def _produce(self, draft: Draft) -> None:
        record = draft.letter.record
        letter = draft.letter.letter or ()
        if draft.is_pointer:
            letter = (*headers.added(letter), *pointers.encode(pointers.to(record)))
        self._producer.send(
            record.source.partition,
            key=pointers.short_key(record.key) if draft.is_pointer else record.key,
            value=None if draft.is_pointer else record.value,
            headers=letter,
            delivered=partial(self._delivered, draft),
        )
        self._sent += 1

    def _delivered(self, draft: Draft, outcome: NotSent | Written) -> None:
        self._sent -= 1
        if isinstance(outcome, NotSent):
            self._failed(draft, outcome)
            return
        self._metrics.dead_letters[str(draft.letter.reason)].inc()
        self._written(draft.letter, outcome)

    def _failed(self, draft: Draft, error: NotSent) -> None:
        now = time.monotonic()
        if not error.is_refusal:
            self._complain(draft, f"trying again: {error}")
            self._waiting.append(replace(draft, due=now + AGAIN))
        elif draft.refused is None:
            self._refused.append(replace(draft, refused=now))
        elif error.is_for_size and not draft.is_pointer:
            log.warning("%s is too large for %s: its dead letter points to it", _place(draft), self._topic)
            self._refused.appendleft(replace(draft, is_pointer=True))
        else:
            self._complain(draft, f"Kafka refuses it: {error}")
            self._why = str(error)
            self._refused.append(replace(draft, due=now + REFUSED_AGAIN))

    def _complain(self, draft: Draft, why: str) -> None:
        self._metrics.dead_letter_failures.inc()
        log.error("the dead letter of %s is not written to %s, %s", _place(draft), self._topic, why)

    def _standing(self, now: float) -> str | None:
        oldest = min((one.refused for one in self._refused if one.refused and one.due), default=now)
        if now - oldest < REFUSED:
            return None
        return f"Kafka refuses dead letters in {self._topic}: {self._why}"


def _place(draft: Draft) -> str:
    return "{}/{}@{}".format(*draft.letter.record.source)
