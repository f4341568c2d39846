"""Topics as logs: read one to its end as it is now, and append to several in one transaction.

Knows Kafka's client and nothing of what the records mean; the consumer itself does not use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource

from headrace.flow.offsets import Span
from headrace.kafka.messages import UNREADABLE, headers_of, timestamp_of
from headrace.kafka.refusals import is_for_size, is_refusal
from headrace.record import Headers
from headrace.resolutions import topic_id

ANSWER = 15.0
"""Seconds that Kafka has to answer one question."""

STEP = 0.5
"""Seconds of one wait for a record: silence is told by these, as whoever reads may take long over the last one."""

AHEAD = {
    "queued.min.messages": "1000",
    "queued.max.messages.kbytes": "16384",
    "fetch.message.max.bytes": "262144",
}
"""How much is fetched ahead: the client's 100,000 records, of which it counts the values alone, are hundreds of MiB."""

TRANSACTION = 30.0
"""Seconds after which Kafka rolls back a transaction whose writer died."""

LOST = ("headrace.unreadable", UNREADABLE.encode())
"""What stands in place of headers that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A record as it lies in a topic; ``timestamp`` in milliseconds since the epoch, None where it has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A record to append; without ``partition`` its key decides, as in other clients (murmur2)."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class TopicMissingError(Exception):
    """The topic does not exist, or this login may not see it."""


class UnansweredError(Exception):
    """Kafka did not answer within its deadline; the text says what the client saw."""


class RefusedError(Exception):
    """Kafka answered that this login may not do it."""


class NotTakenError(Exception):
    """Kafka answered that the topic does not take one of the records, ever; the text names topic and limit."""


class FencedError(Exception):
    """A younger writer with the same transactional id took over; the open transaction was rolled back."""


class Reader:
    """Reads committed records only, in no consumer group, and never past what it is told."""

    def __init__(
        self, connection: Mapping[str, str], *, group: str = "headrace.reader", isolation: str = "read_committed"
    ) -> None:
        """Make a client of the brokers that ``connection`` (librdkafka properties) names; nothing is sent yet.

        ``group`` is asked about and never joined. With ``read_uncommitted`` all that is written is read.
        """
        self._seen = Errors()
        self._connection = dict(connection)
        self._client = Consumer(
            {
                "fetch.wait.max.ms": "50",
                **AHEAD,
                **connection,
                "group.id": group,
                "isolation.level": isolation,
                "enable.auto.commit": "false",
                "enable.partition.eof": "true",
                "check.crcs": "true",
                "auto.offset.reset": "error",
                "error_cb": self._seen.note,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def uncommitted(self) -> Reader:
        """Return a reader of all that is written.

        What one partition shows of a transaction, another shows later: each learns by itself that it is committed.
        """
        return Reader(self._connection, isolation="read_uncommitted")

    def spans(self, topic: str, number: int | None = None) -> dict[int, Span]:
        """Return what partitions of ``topic`` hold, all or that of this ``number``; raises what ``_named`` names."""
        numbers = [one for one in self._numbers(topic) if number in {None, one}]
        try:
            return {one: self._span(topic, one) for one in numbers}
        except KafkaException as error:
            self._client.poll(0)  # serves error_cb, which knows why
            raise _named(error, topic, self._seen) from error

    def count(self, topic: str) -> int:
        """Return how many partitions ``topic`` has; raises what ``_named`` names."""
        return len(self._numbers(topic))

    def committed(self, topic: str) -> dict[int, tuple[int, str]]:
        """Return what the group has committed, offset and metadata, of each partition of ``topic`` that has some.

        Raises what ``_named`` names.
        """
        asked = [TopicPartition(topic, number) for number in self._numbers(topic)]
        try:
            found = self._client.committed(asked, timeout=ANSWER)
            if errors := [one.error for one in found if one.error is not None]:
                raise KafkaException(errors[0])
        except KafkaException as error:
            raise _named(error, f"what is committed of {topic}", self._seen) from error
        return {one.partition: (one.offset, one.metadata or "") for one in found if one.offset >= 0}

    def id(self, topic: str) -> str:
        """Return what tells ``topic`` from another of its name, made before or after it; empty where Kafka has no ids.

        Raises what ``_named`` names.
        """
        admin = AdminClient(self._connection)
        try:
            asked = admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER)
            found = asked[topic].result(timeout=ANSWER).topic_id
        except TimeoutError as error:
            raise UnansweredError(f"the id of {topic} was not answered within {ANSWER:.0f} s") from error
        except KafkaException as error:
            raise _named(error, topic, self._seen) from error
        return topic_id(found.get_most_significant_bits(), found.get_least_significant_bits())

    def read(self, topic: str, partition: int, span: Span) -> Iterator[Stored]:
        """Yield the committed records of ``span`` in order; raises UnansweredError after ANSWER seconds of silence.

        The log must have an end as far as that; a new leader says too early that it ends (KIP-207), which is passed by.
        """
        if span.start >= span.end:
            return
        self._client.assign([TopicPartition(topic, partition, span.start)])
        try:
            yield from self._until(topic, span.end)
        finally:
            self._client.unassign()

    def _numbers(self, topic: str) -> list[int]:
        try:
            found = self._client.list_topics(topic, timeout=ANSWER).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
        except KafkaException as error:
            self._client.poll(0)  # serves error_cb, which knows why
            raise _named(error, topic, self._seen) from error
        return sorted(found.partitions)

    def _span(self, topic: str, number: int) -> Span:
        # Under read_committed the upper mark is the last stable offset: nothing of an open transaction is counted.
        marks = self._client.get_watermark_offsets(TopicPartition(topic, number), timeout=ANSWER)
        if marks is None:
            raise UnansweredError(f"the offsets of {topic}/{number} were not answered within {ANSWER:.0f} s")
        return Span(start=marks[0], end=marks[1])

    def _until(self, topic: str, end: int) -> Iterator[Stored]:
        silent = 0.0
        while silent < ANSWER:
            message = self._client.poll(STEP)
            if message is None:
                silent += STEP
                continue
            silent = 0.0
            is_end = _is_end(message, topic, self._seen)
            if _offset(message) >= end:
                return
            if is_end:
                continue
            yield stored_of(message)
            if _offset(message) + 1 >= end:
                return
        raise UnansweredError(f"reading {topic} got no answer for {ANSWER:.0f} s{self._seen}")


class Writer:
    """Appends records in transactions under one transactional id.

    Entering fences any other writer of that id and rolls back what it left open (KIP-98, KIP-360), so what is read
    afterwards is final.
    """

    def __init__(self, connection: Mapping[str, str], transactional_id: str) -> None:
        """Make a client of the brokers that ``connection`` names; nothing is sent yet."""
        self._seen = Errors()
        self._id = transactional_id
        self._connection = dict(connection)
        self._not_taken: tuple[str, KafkaError] | None = None
        self._client = Producer(
            {
                "compression.type": "zstd",  # as letters are: what fitted there fits in the retry topic
                **connection,
                "message.max.bytes": "1000000000",  # how much a topic takes is the topic's to say
                "transactional.id": transactional_id,
                "transaction.timeout.ms": str(int(TRANSACTION * 1000)),
                "acks": "all",
                "partitioner": "murmur2_random",
                "error_cb": self._seen.note,
            }
        )

    def __enter__(self) -> Self:
        try:
            self._client.init_transactions(TRANSACTION)
        except KafkaException as error:
            with suppress(KafkaException):  # what ended the client, as it says again
                self._client.poll(0)  # serves error_cb, which knows why
            raise _named(error, f"transactional id {self._id}", self._seen) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.purge()

    def append(self, records: Sequence[Outgoing]) -> None:
        """Append all of ``records`` or none of them.

        Raises NotTakenError for a record that the topic refuses, else what ``_named`` names; nothing was appended then,
        save that after UnansweredError it is not known.
        """
        self._not_taken = None
        try:
            self._client.begin_transaction()
            for record in records:
                self._produce(record)
            self._client.commit_transaction(TRANSACTION)
        except KafkaException as error:
            fatal = self._roll_back()
            if self._not_taken is not None:
                raise NotTakenError(self._why_not(*self._not_taken)) from error
            topics = ", ".join(sorted({record.topic for record in records}))
            raise _named(fatal or error, topics, self._seen) from error

    def _produce(self, record: Outgoing) -> None:
        self._client.produce(
            record.topic,
            partition=-1 if record.partition is None else record.partition,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            on_delivery=self._delivered,
        )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and is_refusal(error) and error.code() not in _REFUSALS:
            self._not_taken = self._not_taken or (str(message.topic()), error)

    def _roll_back(self) -> KafkaException | None:
        """End the transaction; one that cannot be ended now Kafka itself ends after TRANSACTION seconds.

        Returns what the client died of, if it did: a call that fails meanwhile does not say that it is fenced. After a
        failed commit the client takes an abort only when it has been asked for the same commit again.
        """
        for end in (self._client.abort_transaction, self._client.commit_transaction, self._client.abort_transaction):
            try:
                end(ANSWER)
            except KafkaException as error:
                if error.args[0].fatal():
                    return error
            else:
                break
        return None

    def _why_not(self, topic: str, error: KafkaError) -> str:
        if not is_for_size(error):
            return f"topic {topic} does not take it: {error.str()}"
        limit = self._limit(topic)
        most = "less" if limit is None else f"at most {limit} bytes a record"
        return f"topic {topic} takes {most} (max.message.bytes)"

    def _limit(self, topic: str) -> str | None:
        """Return how many bytes a record may have; None where the login may not ask."""
        about = ConfigResource(ConfigResource.Type.TOPIC, topic)
        admin = AdminClient(self._connection)
        try:
            asked = admin.describe_configs([about], request_timeout=ANSWER)
            return str(asked[about].result(timeout=ANSWER)["max.message.bytes"].value)
        except (KafkaException, TimeoutError, KeyError):
            return None


class Errors:
    """The last thing the client complained about, to say why a call went unanswered."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None

    def note(self, error: KafkaError) -> None:
        """Remember ``error``."""
        self._last = error

    @property
    def code(self) -> int | None:
        """Its number; None without any."""
        return None if self._last is None else int(self._last.code())

    def __str__(self) -> str:
        return "" if self._last is None else f" (the client says: {self._last.str()})"


_REFUSALS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}


def _named(error: KafkaException, about: str, seen: Errors) -> Exception:
    cause: KafkaError = error.args[0]
    code = cause.code()
    if code in _FENCED:
        return FencedError(f"{about}: {cause.str()}")
    if code in _REFUSALS or seen.code in _REFUSALS:
        return RefusedError(f"{about}: {cause.str()}{seen}")
    if code in _MISSING:
        return TopicMissingError(about)
    return UnansweredError(f"{about}: {cause.str()}{seen}")


def _is_end(message: Message, topic: str, seen: Errors) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise _named(KafkaException(error), topic, seen)


def _offset(message: Message) -> int:
    offset = message.offset()
    return OFFSET_INVALID if offset is None else int(offset)


def stored_of(message: Message) -> Stored:
    """Return what ``message`` carries."""
    own = headers_of(message)
    return Stored(
        topic=str(message.topic()),
        partition=int(message.partition()),
        offset=_offset(message),
        timestamp=timestamp_of(message),
        key=message.key(),
        value=message.value(),
        headers=(LOST,) if own is None else own,
    )
