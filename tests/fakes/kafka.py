"""A Kafka that is a table, for the operator's client: it has more partitions than one broker here could hold.

Every topic exists that is nobody's own, with twelve partitions, each read to its end; questions that fall together are
answered at once, as the real client does (`headrace_operator.clients.coalescing`), after a while. tests/contract holds
it to what the real client says of a real broker.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Iterable, Mapping

from headrace_operator.clients import errors
from headrace_operator.clients.coalescing import Coalesced
from headrace_operator.clients.kafka import Kafka
from headrace_operator.clients.kafka_tokens import Tokens
from headrace_operator.observed.kafka import ClusterSeen, Committed, LogSeen, Partition, RecordSeen, Span, TopicSeen

ANSWER = 0.05
"""Seconds that an answer takes."""

PARTITIONS, END = 12, 10
OWN = re.compile(r"(retry|dlq)\..*|.*\.(signals|notifications)")
"""Topics that are not there before somebody makes them, and are empty then."""

SETTINGS = {"cleanup.policy": "delete", "max.message.bytes": "1048588", "min.insync.replicas": "1"}


class FakeKafka(Kafka):
    """What the client offers, answered by itself."""

    def __init__(self, name: str, properties: Mapping[str, str], tokens: Tokens | None = None) -> None:
        self._name = f"Kafka {name} at {properties['bootstrap.servers']}"
        self._partitions: dict[str, int] = {}
        self._set: dict[str, dict[str, str]] = {}
        self._records: dict[str, list[RecordSeen]] = {}
        self._described = Coalesced(self._read_topics)
        self._ends = Coalesced(self._read_ends)

    async def cluster(self) -> ClusterSeen:
        """Answer as one broker."""
        await asyncio.sleep(ANSWER)
        return ClusterSeen(cluster_id="fake", brokers=1, group_protocols=("classic", "consumer"))

    async def topics(self, names: Iterable[str]) -> Mapping[str, TopicSeen]:
        """Return those that exist."""
        wanted = frozenset(names)
        self._judge(wanted)
        seen = await self._described.ask(wanted)
        return {name: topic for name, topic in seen.items() if topic is not None}

    async def settings(self, topic: str) -> Mapping[str, str]:
        """Return what was set, and the brokers' defaults."""
        await self._answer(topic)
        return SETTINGS | self._set.get(topic, {})

    async def alter(self, topic: str, config: Mapping[str, str]) -> None:
        """Set some settings."""
        await self._answer(topic)
        self._set.setdefault(topic, {}).update(config)

    async def grow(self, topic: str, partitions: int) -> None:
        """Add partitions."""
        await self._answer(topic)
        self._partitions[topic] = max(partitions, self._count(topic))

    async def create(self, topic: str, partitions: int, config: Mapping[str, str], replicas: int | None = None) -> None:
        """Remember a topic, unless there is one."""
        await asyncio.sleep(ANSWER)
        if not self._count(topic):
            self._partitions[topic], self._set[topic] = partitions, dict(config)

    async def offsets(self, partitions: Iterable[Partition]) -> Mapping[Partition, Span]:
        """Return first and next offsets."""
        return await self._ends.ask(partitions)

    async def written(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Return the next offsets: no transaction is open."""
        return {at: span.end for at, span in (await self._ends.ask(partitions)).items()}

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        """Say that everything is handled."""
        await asyncio.sleep(ANSWER)
        return {at: Committed(offset=self._end(at)) for at in partitions if at[1] < self._count(at[0])}

    async def read(self, group: str, spans: Mapping[Partition, Span], *, values: bool = False) -> LogSeen:
        """Return the records of ``spans``."""
        await asyncio.sleep(ANSWER)
        records = [self._record(at, offset) for at, span in spans.items() for offset in range(span.start, span.end)]
        told = tuple(one if values else dataclasses.replace(one, value=None) for one in records)
        return LogSeen(records=told, reached={at: span.end for at, span in spans.items()})

    async def send(self, topic: str, value: bytes, key: bytes | None = None) -> None:
        """Write one record, to the first partition."""
        await self._answer(topic)
        self.write(topic, value, key)

    def write(self, topic: str, value: bytes, key: bytes | None = None) -> None:
        """Have a record in the first partition, whoever wrote it."""
        at = (topic, 0)
        new = RecordSeen(topic=topic, partition=0, offset=self._end(at), key=key, empty=False, value=value)
        self._records.setdefault(topic, []).append(new)

    def close(self) -> None:
        """Hold nothing."""

    async def _answer(self, topic: str) -> None:
        await asyncio.sleep(ANSWER)
        if not self._count(topic):
            raise errors.Retryable(f"{self._name}: there is no topic {topic} yet")

    async def _read_topics(self, names: frozenset[str]) -> Mapping[str, TopicSeen | Exception | None]:
        await asyncio.sleep(ANSWER)
        return {name: self._topic(name) for name in names}

    def _topic(self, name: str) -> TopicSeen | None:
        count = self._count(name)
        return TopicSeen(name=name, partitions=count, replicas=1, id=name) if count else None

    async def _read_ends(self, partitions: frozenset[Partition]) -> Mapping[Partition, Span | Exception]:
        await asyncio.sleep(ANSWER)
        return {at: self._span(at) for at in partitions}

    def _span(self, at: Partition) -> Span | Exception:
        if at[1] < self._count(at[0]):
            return Span(start=0, end=self._end(at))
        return errors.Invalid(f"{self._name}: partition {at[1]} of {at[0]} has no leader")

    def _count(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 where it does not exist."""
        return self._partitions.get(topic, 0 if OWN.fullmatch(topic) else PARTITIONS)

    def _end(self, at: Partition) -> int:
        return _begun(at[0]) + (0 if at[1] else len(self._records.get(at[0], ())))

    def _record(self, at: Partition, offset: int) -> RecordSeen:
        if offset >= _begun(at[0]):
            return self._records[at[0]][offset - _begun(at[0])]
        return RecordSeen(topic=at[0], partition=at[1], offset=offset, key=None, empty=False)


def _begun(topic: str) -> int:
    """Return how many records each partition has of which nobody knows who wrote them."""
    return 0 if OWN.fullmatch(topic) else END
