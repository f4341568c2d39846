"""Writes dead letters: each at the partition of its source, again and again until Kafka has it.

Owned by the poll thread. It must not count a letter as written before all in-sync replicas have it, nor hand one to the
producer whose partition was given away: the new owner writes its own. What the producer already has cannot be recalled.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headrace import connection
from headrace.config import Config
from headrace.dispatch import Finished
from headrace.kafka import Fatal
from headrace.metrics import Metrics

log = logging.getLogger(__name__)

AGAIN = 2.0
"""Seconds before a letter that Kafka did not take is written again."""

ANSWER = 5.0


class Letters:
    """The producer of dead letters and those not yet acknowledged."""

    def __init__(self, config: Config, metrics: Metrics, written: Callable[[Finished], None]) -> None:
        """``written`` is called, from `serve`, with each letter that Kafka has."""
        self._topic = config.topics.dead_letters
        self._metrics = metrics
        self._written = written
        self._waiting: deque[tuple[float, Finished]] = deque()
        self._sent = 0
        self._partitions = 0
        self._fatal: str | None = None
        self._producer = Producer(
            {
                "linger.ms": "5",
                "message.timeout.ms": "30000",
                **connection.properties(config.kafka),
                "enable.idempotence": "true",
                "acks": "all",
                "error_cb": self._on_error,
            }
        )

    @property
    def outstanding(self) -> int:
        """How many letters are not written yet."""
        return self._sent + len(self._waiting)

    def write(self, letter: Finished) -> None:
        """Begin to write a letter."""
        self._waiting.append((0.0, letter))

    def serve(self) -> None:
        """Send what is due and learn what was written; called often, blocks at most `ANSWER` seconds.

        Raises Fatal when the producer is of no more use.
        """
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, letter = self._waiting.popleft()
            if letter.assignment.given_away:
                continue
            try:
                self._produce(letter)
            except (KafkaException, BufferError) as error:
                self._failed(letter, str(error))
                break
        if self._sent:
            self._producer.poll(0)
        if self._fatal is not None:
            raise Fatal(f"the producer of dead letters cannot go on: {self._fatal}")

    def _produce(self, letter: Finished) -> None:
        record = letter.record
        self._producer.produce(
            self._topic,
            partition=record.source.partition % self._partition_count(),
            key=record.key,
            value=record.value,
            headers=list(letter.letter or ()),
            on_delivery=partial(self._delivered, letter),
        )
        self._sent += 1

    def _partition_count(self) -> int:
        if not self._partitions:
            found = self._producer.list_topics(self._topic, timeout=ANSWER).topics[self._topic]
            if found.error is not None:
                raise KafkaException(found.error)
            self._partitions = len(found.partitions)
        return self._partitions

    def _delivered(self, letter: Finished, error: KafkaError | None, _: Message) -> None:
        self._sent -= 1
        if error is not None:
            self._failed(letter, error.str())
            return
        self._metrics.dead_letters[str(letter.reason)].inc()
        self._written(letter)

    def _on_error(self, error: KafkaError) -> None:
        log.warning("producer: %s", error.str())
        if error.fatal():
            self._fatal = error.str()

    def _failed(self, letter: Finished, why: str) -> None:
        self._partitions = 0
        self._metrics.dead_letter_failures.inc()
        place = "{}/{}@{}".format(*letter.record.source)
        log.error("the dead letter of %s is not written to %s, trying again: %s", place, self._topic, why)
        self._waiting.append((time.monotonic() + AGAIN, letter))
