"""A Kafka that is a table, for the operator's client: it has more partitions than one broker here could hold.

Every topic exists that is nobody's own, with twelve partitions, each read to its end; questions that fall together are
answered at once, as the real client does (`headrace_operator.clients.coalescing`), after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from headrace_operator.clients.coalescing import Coalesced
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import ClusterSeen, Committed, LogSeen, Partition, Span, TopicSeen

ANSWER = 0.05
"""Seconds that an answer takes."""

END = 10


SETTINGS = {"cleanup.policy": "delete", "max.message.bytes": "1048588", "min.insync.replicas": "1"}


class FakeKafka(Kafka):
    """What the client offers, answered by itself."""

    def __init__(self, name: str, properties: Mapping[str, str]) -> None:
        self._made: dict[str, tuple[int, dict[str, str]]] = {}
        self._described = Coalesced(self._read_topics)
        self._ends = Coalesced(self._read_ends)

    async def cluster(self) -> ClusterSeen:
        """Answer as one broker."""
        await asyncio.sleep(ANSWER)
        return ClusterSeen(cluster_id="fake", brokers=1)

    async def topics(self, names: Iterable[str]) -> Mapping[str, TopicSeen]:
        """Return those that exist."""
        seen = await self._described.ask(names)
        return {name: topic for name, topic in seen.items() if topic is not None}

    async def settings(self, topic: str) -> Mapping[str, str]:
        """Return what a topic was made with, and the brokers' defaults."""
        await asyncio.sleep(ANSWER)
        return SETTINGS | (self._made[topic][1] if topic in self._made else {})

    async def alter(self, topic: str, config: Mapping[str, str]) -> None:
        """Set some settings."""
        await asyncio.sleep(ANSWER)
        self._made[topic][1].update(config)

    async def grow(self, topic: str, partitions: int) -> None:
        """Add partitions."""
        await asyncio.sleep(ANSWER)
        self._made[topic] = (partitions, self._made[topic][1])

    async def create(self, topic: str, partitions: int, config: Mapping[str, str], replicas: int | None = None) -> None:
        """Remember a topic."""
        await asyncio.sleep(ANSWER)
        self._made[topic] = (partitions, dict(config))

    async def offsets(self, partitions: Iterable[Partition]) -> Mapping[Partition, Span]:
        """Return first and next offsets."""
        return await self._ends.ask(partitions)

    async def written(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Return the next offsets: no transaction is open."""
        return {at: span.end for at, span in (await self._ends.ask(partitions)).items()}

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        """Say that everything is handled."""
        await asyncio.sleep(ANSWER)
        return {at: Committed(offset=self._end(at)) for at in partitions}

    async def read(self, group: str, spans: Mapping[Partition, Span]) -> LogSeen:
        """Read nothing: own topics are empty."""
        return LogSeen(records=(), reached={})

    def close(self) -> None:
        """Hold nothing."""

    async def _read_topics(self, names: frozenset[str]) -> Mapping[str, TopicSeen | Exception | None]:
        await asyncio.sleep(ANSWER)
        return {name: self._topic(name) for name in names}

    def _topic(self, name: str) -> TopicSeen | None:
        if name.startswith(("retry.", "dlq.")) and name not in self._made:
            return None
        partitions = self._made[name][0] if name in self._made else 12
        return TopicSeen(name=name, partitions=partitions, replicas=1, id=name)

    async def _read_ends(self, partitions: frozenset[Partition]) -> Mapping[Partition, Span | Exception]:
        await asyncio.sleep(ANSWER)
        return {at: Span(start=0, end=self._end(at)) for at in partitions}

    def _end(self, at: Partition) -> int:
        return 0 if at[0] in self._made else END
