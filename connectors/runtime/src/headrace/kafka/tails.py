"""Partitions of one topic read to their ends side by side: one that does not answer holds up no other.

Knows Kafka's client and nothing of what the records mean; in no consumer group.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headrace.flow.patience import Patience
from headrace.kafka.topics import AHEAD, ANSWER, STEP, Errors, Stored, UnansweredError, stored_of

GLANCE = 2.0
"""Seconds that a leader which has just answered has to say where its log ends."""


def read(
    connection: Mapping[str, str], topic: str, starts: Mapping[int, int], *, before: int
) -> Iterator[tuple[int, Stored | int]]:
    """Yield the records of each partition in order, by its number, and once the offset of its end.

    From its offset in ``starts`` on; and where anything lies there, from ``before`` offsets earlier. All that is
    written is read, also in open transactions. Raises UnansweredError after ANSWER seconds of waiting in which nothing
    came of any that is not read to its end; its text names those.
    """
    with _Tails(connection, topic, starts, before) as tails:
        yield from tails.read()


class _Tails:
    """The client and the partitions that are ``left``: those that are not read to their ends."""

    def __init__(self, connection: Mapping[str, str], topic: str, starts: Mapping[int, int], before: int) -> None:
        self._topic = topic
        self._starts = starts
        self._before = before
        self._seen = Errors()
        self._left = {*starts}
        self._said: dict[int, int] = {}
        self._patience = Patience(ANSWER, time.monotonic())
        self._back = {number for number, start in starts.items() if start}
        self._client = Consumer(
            {
                **AHEAD,
                "fetch.wait.max.ms": "50",
                **connection,
                "group.id": "headrace.reader",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": "false",
                "enable.partition.eof": "true",
                "check.crcs": "true",
                "auto.offset.reset": "earliest",
                "error_cb": self._seen.note,
            }
        )

    def __enter__(self) -> _Tails:
        return self

    def __exit__(self, *about: object) -> None:
        self._client.close()

    def read(self) -> Iterator[tuple[int, Stored | int]]:
        self._client.assign([TopicPartition(self._topic, *start) for start in self._starts.items()])
        self._patience.renew(time.monotonic())
        while self._left:
            message = self._client.poll(STEP)
            number = -1 if message is None else int(message.partition() or 0)
            if message is not None and number in self._left and self._is_answer(message):
                self._patience.renew(time.monotonic())
                yield from self._take(number, message)
            elif self._patience.is_over(time.monotonic()):
                raise UnansweredError(self._silence())
            elif message is None and self._said:
                yield from self._end(next(iter(self._said)))

    def _take(self, number: int, message: Message) -> Iterator[tuple[int, Stored | int]]:
        self._said.pop(number, None)
        if message.error() is not None:
            self._said[number] = int(message.offset() or 0)
            yield from self._end(number)
        elif number in self._back:
            self._back.remove(number)
            self._client.seek(TopicPartition(self._topic, number, max(0, self._starts[number] - self._before)))
        else:
            yield number, stored_of(message)

    def _end(self, number: int) -> Iterator[tuple[int, int]]:
        """End where a log was said to end; what its leader does not confirm is asked for again, after others."""
        offset = self._said.pop(number)
        if not self._is_end(number, offset):
            self._said[number] = offset
            return
        self._left.remove(number)
        self._patience.renew(time.monotonic())
        self._client.pause([TopicPartition(self._topic, number)])
        yield number, offset

    def _is_end(self, number: int, offset: int) -> bool:
        """Whether all that anybody was told is written lies before ``offset``.

        A new leader says too early that its log ends, and does not answer this until it knows (KIP-207).
        """
        try:
            marks = self._client.get_watermark_offsets(TopicPartition(self._topic, number), timeout=GLANCE)
        except KafkaException as error:
            self._seen.note(error.args[0])
            return False
        return marks is not None and offset >= marks[1]

    def _is_answer(self, message: Message) -> bool:
        error = message.error()
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            return True
        self._seen.note(error)
        return False

    def _silence(self) -> str:
        names = ", ".join(f"{self._topic}/{number}" for number in sorted(self._left))
        return f"reading {names} got no answer for {ANSWER:.0f} s{self._seen}"
