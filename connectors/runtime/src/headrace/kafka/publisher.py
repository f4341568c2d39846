"""Writes a batch of records to any topics, in order, and says what became of each.

Of a batch nothing is written behind what was not: the client ends instead, and a new one is opened for the next. One
thread owns it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from headrace.config import Kafka
from headrace.kafka import connection
from headrace.kafka.producer import COMPRESSED, GAPLESS, LARGEST
from headrace.kafka.refusals import is_refusal
from headrace.record import Headers

log = logging.getLogger(__name__)

ANSWER = 5.0
"""Seconds that Kafka has to say whether there is a topic."""

BELIEVED = 60.0
"""Seconds for which a topic that was there is taken to be there."""

LAST_WORDS = 3.0
"""Seconds for which a client that has ended is asked what it still knows of its records."""

ALONE = {"message.timeout.ms": "30000"}
"""A record that is alone cannot leave a gap; it is given up after so many milliseconds."""

OF_TOPIC = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.INVALID_REPLICATION_FACTOR,
})  # fmt: skip
"""What an answer says of a topic, and of no record."""


class Outgoing(NamedTuple):
    """A record to write; its key decides the partition, as in other clients (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Outcome(Enum):
    """What became of a record."""

    WRITTEN = "written"
    """All in-sync replicas have it."""
    UNKNOWN = "unknown"
    """It was not written, or Kafka did not say so: what follows it in its topic was not written either."""
    REFUSED = "refused"
    """Kafka refused it, or one that was sent along with it."""
    TOPIC = "topic"
    """Its topic is not there, or this login may not write there."""


class Said(NamedTuple):
    """What became of a record, with Kafka's words where it was not written."""

    outcome: Outcome
    words: str = ""


UNANSWERED = Said(Outcome.UNKNOWN, "Kafka did not answer")


class Publisher:
    """Writes batches; an idempotent producer that waits for all in-sync replicas."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._crowd: Client | None = None
        self._alone: Client | None = None
        self._there: dict[str, float] = {}
        self.words = ""
        """What the clients complained of last; empty since something was written."""

    def reopen(self) -> None:
        """Go on with clients that read the mounted files anew; what is under way is dropped."""
        self._drop()
        self._alone = None
        self._there.clear()

    def missing(self, topic: str) -> str:
        """Return why a topic takes nothing, empty where it does; raises ``OSError``, `KafkaAway`."""
        if self._there.get(topic, 0.0) > time.monotonic():
            return ""
        try:
            found = self._single().list_topics(topic, timeout=ANSWER).topics[topic]
        except KafkaException as error:
            raise KafkaAway(self._said(error.args[0])) from error
        if found.error is not None:
            return str(found.error.str())
        self._there[topic] = time.monotonic() + BELIEVED
        return ""

    def write(self, records: Sequence[Outgoing], going_on: Callable[[], bool]) -> list[Said]:
        """Write ``records`` in order and return what became of each; gives up when ``going_on`` is false.

        Raises ``OSError`` where a credential cannot be read.
        """
        client = self._many()
        said = [UNANSWERED] * len(records)
        left = self._begin(client, records, said)
        while left() and self._crowd is client and going_on():
            self._poll(client)
        if self._crowd is not client:
            self._hear_the_end(client, left)
        elif left():
            self._drop()
        self._note(records, said)
        return said

    def write_alone(self, record: Outgoing, going_on: Callable[[], bool]) -> Said:
        """Write one record while nothing else is under way; what it says is of this record alone."""
        client = self._single()
        said = [UNANSWERED]
        left = self._begin(client, [record], said)
        while left() and going_on():
            client.poll(0.1)
        if left():
            self._alone = None
        self._note([record], said)
        return said[0]

    def _begin(self, client: Client, records: Sequence[Outgoing], said: list[Said]) -> Callable[[], int]:
        """Hand all to the client, and return how many are not answered yet."""
        answered = 0

        def delivered(number: int) -> Callable[[KafkaError | None, Message], None]:
            def on_delivery(error: KafkaError | None, _: Message) -> None:
                nonlocal answered
                answered += 1
                said[number] = WRITTEN if error is None else _said(error)

            return on_delivery

        handed = 0
        for number, record in enumerate(records):
            try:
                client.produce(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    on_delivery=delivered(number),
                )
            except (KafkaException, BufferError) as error:  # the rest of the batch waits behind it
                said[number] = _said(error.args[0]) if isinstance(error, KafkaException) else UNANSWERED
                break
            handed += 1
        return lambda: handed - answered

    def _hear_the_end(self, client: Client, left: Callable[[], int]) -> None:
        """Learn from a client that has ended what it still knows of its records."""
        deadline = time.monotonic() + LAST_WORDS
        while left() and time.monotonic() < deadline:
            self._poll(client)

    def _poll(self, client: Client) -> None:
        try:
            client.poll(0.1)
        except KafkaException as error:  # what ended the client, also from a callback
            self._on_error(error.args[0])

    def _note(self, records: Sequence[Outgoing], said: Sequence[Said]) -> None:
        for record, one in zip(records, said, strict=True):
            if one.outcome is Outcome.WRITTEN:
                self.words = ""
            else:
                self._there.pop(record.topic, None)

    def _many(self) -> Client:
        if self._crowd is None:
            self._crowd = self._opened(GAPLESS)
        return self._crowd

    def _single(self) -> Client:
        if self._alone is None:
            self._alone = self._opened(ALONE)
        return self._alone

    def _drop(self) -> None:
        if self._crowd is not None:
            self._crowd.purge(in_queue=True, in_flight=True, blocking=False)
        self._crowd = None

    def _opened(self, more: dict[str, str]) -> Client:
        return Client(
            {
                "linger.ms": "2",
                **COMPRESSED,
                **connection.properties(self._kafka),
                "message.max.bytes": LARGEST,
                "enable.idempotence": "true",
                "partitioner": "murmur2_random",
                **more,
                "acks": "all",
                "error_cb": self._on_error,
            }
        )

    def _on_error(self, error: KafkaError) -> None:
        self.words = self._said(error)
        if error.fatal():
            log.info("the producer ended, as a record was not written and nothing is to follow it: %s", error.str())
            self._crowd = None

    def _said(self, error: KafkaError) -> str:
        return f"{self._kafka.bootstrap_servers}: {error.str()}"


class KafkaAway(Exception):
    """Kafka did not answer."""


WRITTEN = Said(Outcome.WRITTEN)


def _said(error: KafkaError) -> Said:
    if error.code() in OF_TOPIC:
        return Said(Outcome.TOPIC, error.str())
    return Said(Outcome.REFUSED if is_refusal(error) else Outcome.UNKNOWN, error.str())
