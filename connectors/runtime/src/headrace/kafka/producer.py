"""The producer of one pod: at the partition that it is told, acknowledged by all in-sync replicas, once.

One thread owns it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from headrace.config import Config
from headrace.kafka import connection
from headrace.kafka.connection import Login
from headrace.kafka.consumer import Fatal
from headrace.kafka.refusals import is_for_size, is_refusal
from headrace.record import Headers

log = logging.getLogger(__name__)

ANSWER = 2.0
"""Seconds that Kafka has to say how many partitions a topic has: the poll thread waits, for each of its producers."""

COMPRESSED = {"compression.type": "zstd"}
"""A topic counts what a record has compressed: one that its producer compressed fits in ours only if we do so too."""

BY_KEY = -1
"""The partition that the client takes for none: it chooses by the key then, as other clients do (murmur2)."""

LARGEST = "1000000000"
"""The client's own limit of a record, which is its highest: how much a topic takes is the topic's to say."""


GAPLESS = {"enable.gapless.guarantee": "true", "message.timeout.ms": "0", "log_level": "3"}
"""Nothing is written after what was not: the client ends instead, unless a record timed out, which none does then.

Its warnings are left out, as it warns of this property at each start; what is not written is in our log all the same.
"""


class NotSent(Exception):
    """Kafka did not take a record; ``is_refusal``: somebody has to mend that, or the record is too large."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.is_refusal = is_refusal(error)
        self.is_for_size = is_for_size(error)


class Written(NamedTuple):
    """Where Kafka has a record."""

    partition: int
    offset: int


class Producer:
    """Sends records to one topic."""

    def __init__(self, config: Config, topic: str, *, gapless: bool = False) -> None:
        """Make a client; nothing is sent yet. A ``gapless`` one ends with the first record that is not taken."""
        self._topic = topic
        self._gapless = gapless
        self._partitions = 0
        self._fatal: str | None = None
        self._config = config
        self._client = self._opened()

    def _opened(self) -> Client:
        return Client(
            {
                "linger.ms": "5",
                "message.timeout.ms": "30000",
                **COMPRESSED,
                **connection.properties(self._config.kafka),
                "message.max.bytes": LARGEST,
                "enable.idempotence": "true",
                "partitioner": "murmur2_random",
                **(GAPLESS if self._gapless else {}),
                "acks": "all",
                "error_cb": self._on_error,
            }
        )

    def log_in(self, login: Login) -> None:
        """Log in as this user from the next connection on."""
        self._client.set_sasl_credentials(*login)

    def reopen(self) -> None:
        """Go on with a client that reads the mounted files anew; nobody learns what becomes of what is under way."""
        self._client = self._opened()
        self._fatal = None

    def send(
        self,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        delivered: Callable[[NotSent | Written], None],
    ) -> None:
        """Begin to send a record to ``partition``, None is that of its key; ``delivered`` is called from `poll`.

        Unless it is gapless, so ordered by partition, that is modulo what the topic has.
        Raises NotSent when it is not even begun, BufferError when too much is under way; blocks at most `ANSWER`
        seconds.
        """

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._partitions = 0
            delivered(_written(message) if error is None else NotSent(error))

        try:
            count = self._partition_count()
            number = BY_KEY if partition is None else partition if self._gapless else partition % count
            self._client.produce(
                self._topic, partition=number, key=key, value=value, headers=list(headers), on_delivery=on_delivery
            )
        except KafkaException as error:
            self._partitions = 0
            raise NotSent(error.args[0]) from error

    def look_anew(self) -> None:
        """Ask how many partitions the topic has before something is sent again."""
        self._partitions = 0

    def poll(self, seconds: float) -> None:
        """Learn what became of what was sent."""
        try:
            self._client.poll(seconds)
        except KafkaException as error:  # what ended the client, also from a callback
            self._on_error(error.args[0])

    @property
    def has_ended(self) -> bool:
        """Whether the producer is of no more use."""
        return self._fatal is not None

    def check(self) -> None:
        """Raise Fatal when the producer is of no more use."""
        if self._fatal is not None:
            raise Fatal(f"the producer of {self._topic} cannot go on: {self._fatal}")

    def _partition_count(self) -> int:
        if not self._partitions:
            found = self._client.list_topics(self._topic, timeout=ANSWER).topics[self._topic]
            if found.error is not None:
                raise KafkaException(found.error)
            self._partitions = len(found.partitions)
        return self._partitions

    def _on_error(self, error: KafkaError) -> None:
        log.warning("producer: %s", error.str())
        if error.fatal():
            self._fatal = error.str()


def _written(message: Message) -> Written:
    """Return where a record lies; Kafka does not say so of one that it had already (a repeated request): from 0 on."""
    return Written(int(message.partition() or 0), max(0, int(message.offset() or 0)))
