"""What may be asked in the name of a consumer group without joining it: its committed offsets, and records.

It commits nothing. Payloads are fetched, as Kafka sends whole batches, and dropped here unless they are asked for. Each
takes 0.7 MiB and four threads: committed offsets are asked for otherwise (`kafka_offsets`) where the brokers and the
login allow it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headrace_operator.clients.kafka_committed import committed
from headrace_operator.observed.kafka import Committed, LogSeen, Partition, RecordSeen, Span

MOST = 50_000
"""Records of one read."""

SETTINGS = {
    "isolation.level": "read_committed",
    "enable.auto.commit": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
    "check.crcs": "true",
    "fetch.wait.max.ms": "50",
    "fetch.queue.backoff.ms": "20",
    "queued.max.messages.kbytes": "8192",
}


class Group:
    """Blocking questions, one at a time, each of at most so many ``seconds``; they raise KafkaException."""

    def __init__(self, properties: Mapping[str, Any], name: str, note: Callable[[KafkaError], None]) -> None:
        self._lock = threading.Lock()
        self._properties = {**properties, **SETTINGS, "group.id": name, "error_cb": note}
        self._client: Consumer | None = None
        self._is_closed = False

    def committed(self, partitions: Iterable[Partition], seconds: float) -> dict[Partition, Committed]:
        """Return the committed offsets and what is told with them; partitions without one are left out."""
        with self._lock:
            client = self._opened()
            found = client.committed([TopicPartition(*one) for one in partitions], timeout=seconds)
            client.poll(0)  # serves error_cb
        for one in found:
            if one.error is not None:
                raise KafkaException(one.error)
        return {(one.topic, one.partition): committed(one.offset, one.metadata) for one in found if one.offset >= 0}

    def read(self, spans: Mapping[Partition, Span], seconds: float, *, values: bool = False) -> LogSeen:
        """Return the committed records of ``spans`` that came, and how far each partition was read.

        It is a failure when nothing came at all; that may be one partition's leader, so it says nothing of the Kafka.
        """
        end = time.monotonic() + seconds
        with self._lock:
            client = self._opened()
            client.assign([TopicPartition(topic, number, span.start) for (topic, number), span in spans.items()])
            try:
                seen = _until(client, spans, end, values=values)
            finally:
                client.unassign()
        if not any(seen.reached[one] > span.start for one, span in spans.items()):
            raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, "nothing came in time"))
        return seen

    def close(self) -> None:
        """Let go of the connections, after what is being asked."""
        with self._lock:
            if self._client:
                self._client.close()
            self._client, self._is_closed = None, True

    def _opened(self) -> Consumer:
        if self._is_closed:
            raise KafkaException(KafkaError(KafkaError._DESTROY, "the connections were closed meanwhile"))
        if self._client is None:
            self._client = Consumer(self._properties)
        return self._client


def _until(client: Consumer, spans: Mapping[Partition, Span], end: float, *, values: bool) -> LogSeen:
    records: list[RecordSeen] = []
    reached = {one: span.start for one, span in spans.items()}
    while any(reached[one] < span.end for one, span in spans.items()):
        if len(records) >= MOST or (left := end - time.monotonic()) <= 0:
            break
        for message in client.consume(1000, timeout=min(left, 0.1)):
            _take(message, spans, reached, records, values=values)
    return LogSeen(records=tuple(records), reached=reached)


def _take(
    message: Message,
    spans: Mapping[Partition, Span],
    reached: dict[Partition, int],
    records: list[RecordSeen],
    *,
    values: bool,
) -> None:
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    at = (str(message.topic()), int(message.partition()))
    if error is not None or message.offset() >= spans[at].end:
        reached[at] = spans[at].end
        return
    reached[at] = message.offset() + 1
    records.append(_record(at, message, values=values))


def _record(at: Partition, message: Any, *, values: bool) -> RecordSeen:
    topic, number = at
    value = message.value()
    return RecordSeen(
        topic=topic,
        partition=number,
        offset=message.offset(),
        key=message.key(),
        empty=value is None,
        value=value if values else None,
    )
