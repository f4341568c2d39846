"""Kafka, as the operator sees it: the cluster, topics, offsets of a group, records of a log; and new topics.

Each question has a deadline. Those about topics and offsets that fall together are asked once (`coalescing`), logs are
read by a client in a group's name (`kafka_group`), and a Kafka that answers nobody fails at once for a while
(`kafka_failures`), so that a dead one delays nobody. It must not decide anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from headrace.resolutions import topic_id
from headrace_operator.api.schema import LONGEST_TOPIC, TOPIC
from headrace_operator.clients import errors
from headrace_operator.clients.coalescing import Coalesced
from headrace_operator.clients.kafka_failures import Failures
from headrace_operator.clients.kafka_group import Group
from headrace_operator.clients.kafka_link import Outdated
from headrace_operator.clients.kafka_offsets import Offsets, Told
from headrace_operator.clients.kafka_sending import send
from headrace_operator.clients.kafka_tokens import Tokens
from headrace_operator.clients.measured import measured
from headrace_operator.observed.kafka import ClusterSeen, Committed, LogSeen, Partition, Span, TopicSeen

DEADLINE = 4.0
"""Seconds that one request may take: the client sends nothing of it afterwards."""

ANSWER = 6.0
"""Seconds after which a question is given up, whatever the client does."""

READERS = 2
"""Logs of one Kafka that are read at the same time."""

THREADS = 32
"""Questions of groups that wait at the same time: each takes a thread while it waits."""

IDLE = 120.0
"""Seconds after which a group's own client is closed that nobody asks."""

MOST_GROUPS = 8
"""Clients of groups that are kept for those that read logs next."""

PROTOCOLS = "group.coordinator.rebalance.protocols"
"""The brokers' property that lists them, since Kafka 3.7."""

Question = tuple[str, tuple[Partition, ...]]
"""A group, and partitions that it may have committed."""

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Kafka:
    """One Kafka with one login; every question raises `HeadraceError`."""

    def __init__(self, name: str, properties: Mapping[str, str], tokens: Tokens | None = None) -> None:
        self._name = f"Kafka {name} at {properties['bootstrap.servers']}"
        by_token = {"oauth_cb": tokens.tell} if tokens else {}
        self._properties: dict[str, Any] = {"reconnect.backoff.ms": "500", **properties, **OWN, **by_token}
        self._failures = Failures(self._name)
        self._tokens, self._starting, self._is_closed = tokens, asyncio.Lock(), False
        self._admin = None if tokens else self._made()
        try:
            self._offsets = Offsets(self._properties, tokens)
        except (ValueError, OSError) as error:
            raise self._refused(error) from error
        self._ends = Coalesced(self._read_ends)
        self._written = Coalesced(self._read_written)
        self._described = Coalesced(self._read_topics)
        self._settings = Coalesced(self._read_settings)
        self._committed = Coalesced(self._read_committed)
        self._groups: dict[str, tuple[float, Group]] = {}
        self._outdated = False
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="kafka")
        self._readers = asyncio.Semaphore(READERS)

    async def cluster(self) -> ClusterSeen:
        """Read identifier, number of brokers, and which protocols of consumer groups they allow."""
        return await self._ask("describe the cluster", self._cluster)

    async def topics(self, names: Iterable[str]) -> Mapping[str, TopicSeen]:
        """Read those of ``names`` that exist; no other topic is asked for. Invalid is raised for what names none."""
        wanted = sorted(set(names))
        self._judge(wanted)
        seen = await self._ask(f"describe {', '.join(wanted)}", lambda: self._described.ask(wanted))
        return {name: topic for name, topic in seen.items() if topic is not None}

    def _judge(self, topics: Iterable[str]) -> None:
        """Refuse what the client would fail on, and with it all that it is asked at once."""
        wrong = next((name for name in topics if len(name) > LONGEST_TOPIC or not re.fullmatch(TOPIC, name)), None)
        if wrong is not None:
            text = (
                f"{wrong!r} is no name of a topic, so {self._name} is not asked: a name is letters, digits, dots, "
                f"hyphens and underscores, at most {LONGEST_TOPIC}, and neither '.' nor '..'."
            )
            raise errors.Invalid(text)

    async def settings(self, topic: str) -> Mapping[str, str]:
        """Read the settings of a topic that are in force, whoever set them."""
        return (await self._ask(f"read the settings of {topic}", lambda: self._settings.ask([topic])))[topic]

    async def alter(self, topic: str, config: Mapping[str, str]) -> None:
        """Set some settings of a topic, and leave the others."""
        told = ", ".join(f"{name}={value}" for name, value in config.items())
        await self._ask(f"set {told} of {topic}", lambda: self._alter(topic, config))

    async def create(self, topic: str, partitions: int, config: Mapping[str, str], replicas: int | None = None) -> None:
        """Create a topic, with as many replicas as the brokers give unless told; one that exists is well.

        Nothing is sent after `DEADLINE` seconds. A broker may still carry out later what it was sent before: that makes
        the topic that was wanted, or none where it exists.
        """
        await self._ask(f"create topic {topic}", lambda: self._create(topic, partitions, dict(config), replicas))

    async def grow(self, topic: str, partitions: int) -> None:
        """Add partitions to a topic until it has so many; one that has them already is well."""
        await self._ask(f"add partitions to {topic} up to {partitions}", lambda: self._grow(topic, partitions))

    async def send(self, topic: str, value: bytes, key: bytes | None = None) -> None:
        """Write one record."""
        sending = partial(send, self._properties, topic, (key, value), DEADLINE, self._failures.note)
        loop = asyncio.get_running_loop()
        await self._ask(f"write to {topic}", lambda: loop.run_in_executor(self._threads, sending))

    async def offsets(self, partitions: Iterable[Partition]) -> Mapping[Partition, Span]:
        """Read the first and the next offset of each partition; nothing of an open transaction is counted."""
        wanted = tuple(partitions)
        topics = ", ".join(sorted({topic for topic, _ in wanted}))
        return await self._ask(f"list offsets of {topics}", lambda: self._ends.ask(wanted))

    async def written(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Read the next offset to be written of each partition, past what an open transaction has written."""
        wanted = tuple(partitions)
        topics = ", ".join(sorted({topic for topic, _ in wanted}))
        return await self._ask(f"list offsets of {topics}", lambda: self._written.ask(wanted))

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, Committed]:
        """Read what ``group`` has committed; partitions without a commit are left out."""
        wanted = tuple(partitions)
        if not wanted:
            return {}
        return await self._ask(f"read offsets of {group}", lambda: self._committed_of(group, wanted))

    async def read(self, group: str, spans: Mapping[Partition, Span], *, values: bool = False) -> LogSeen:
        """Read the committed records of ``spans``, as many as fit in `DEADLINE` seconds, as ``group`` without joining.

        Their ``values`` are left out unless asked for. Nothing is read, and nobody waits, while `READERS` others are.
        """
        if self._readers.locked():
            return LogSeen(records=(), reached={})
        what = f"read {', '.join(sorted({topic for topic, _ in spans}))}"
        return await self._ask(what, lambda: self._log(group, spans, values=values))

    def close(self) -> None:
        """Let go of the connections; what is being asked fails as one that may be asked again."""
        self._is_closed = True
        self._leave(self._admin)
        self._admin = None
        self._offsets.close()
        self._let_go(before=math.inf)
        self._threads.shutdown(wait=False)

    def _made(self) -> AdminClient:
        try:
            return AdminClient({**self._properties, "error_cb": self._failures.note})
        except (KafkaException, ValueError, OSError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> errors.HeadraceError:
        if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.SASL_AUTHENTICATION_FAILED:
            return errors.Unreachable(f"{self._name}: {error.args[0].str()}")
        return errors.Invalid(f"{self._name}: the client refuses these properties: {error}")

    async def _start(self, tokens: Tokens) -> None:
        """Make the client that logs in by tokens: in a thread, as it stands still for a second until it has one."""
        async with self._starting:
            if self._admin or self._is_closed:
                return
            await tokens.ask()
            made = await asyncio.to_thread(self._made)
            if self._is_closed:
                self._leave(made)
            else:
                self._admin = made

    def _leave(self, admin: AdminClient | None) -> None:
        """Let go of a client; where it may wait for a token, in a thread, as the loop is to bring that."""
        ending = partial(admin.__exit__, None, None, None) if admin else None
        if ending and self._tokens:
            threading.Thread(target=ending, name="kafka-end").start()
        elif ending:
            ending()

    @measured("kafka")
    async def _ask(self, what: str, question: Callable[[], Awaitable[Answer]]) -> Answer:
        self._failures.check()
        begun = time.monotonic()
        self._let_go(before=begun - IDLE)
        if self._tokens and self._admin is None:
            await self._start(self._tokens)
        try:
            async with asyncio.timeout(ANSWER):
                answer = await question()
        except (KafkaException, TimeoutError) as error:
            if self._admin is None:
                raise self._closed() from error
            self._hear()
            raise self._failures.failed(what, error, begun) from error
        self._hear()
        self._failures.answered()
        return answer

    def _hear(self) -> None:
        """Serve the client's complaints, which wait until they are asked for."""
        if self._admin:
            self._admin.poll(0)

    def _opened(self) -> AdminClient:
        if self._admin is None:
            raise self._closed()
        return self._admin

    def _closed(self) -> errors.Unreachable:
        return errors.Unreachable(f"The connections to {self._name} were closed meanwhile: ask anew.")

    async def _cluster(self) -> ClusterSeen:
        seen = await _told(self._opened().describe_cluster(request_timeout=DEADLINE))
        protocols = await self._group_protocols(seen.nodes[0].id)
        return ClusterSeen(cluster_id=str(seen.cluster_id), brokers=len(seen.nodes), group_protocols=protocols)

    async def _group_protocols(self, broker: int) -> tuple[str, ...] | None:
        """Read what KIP-848 and its followers are switched on by; None where that may not be read, or is not told."""
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        try:
            found = await _told(self._opened().describe_configs([resource], request_timeout=DEADLINE)[resource])
        except KafkaException:
            return None
        entry = found.get(PROTOCOLS)
        return tuple(sorted(word.strip() for word in entry.value.split(","))) if entry else None

    async def _create(self, topic: str, partitions: int, config: dict[str, str], replicas: int | None) -> None:
        new = NewTopic(topic, num_partitions=partitions, replication_factor=replicas or -1, config=config)
        try:
            await _told(self._opened().create_topics([new], request_timeout=DEADLINE)[topic])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    async def _grow(self, topic: str, partitions: int) -> None:
        wanted = NewPartitions(topic, partitions)
        try:
            await _told(self._opened().create_partitions([wanted], request_timeout=DEADLINE)[topic])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.INVALID_PARTITIONS:
                raise

    async def _alter(self, topic: str, config: Mapping[str, str]) -> None:
        set_ = AlterConfigOpType.SET
        entries = [ConfigEntry(name, value, incremental_operation=set_) for name, value in config.items()]
        about = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        await _told(self._opened().incremental_alter_configs([about], request_timeout=DEADLINE)[about])

    async def _log(self, group: str, spans: Mapping[Partition, Span], *, values: bool) -> LogSeen:
        async with self._readers:
            return await self._as_group(group, lambda as_: as_.read(spans, DEADLINE, values=values))

    async def _as_group(self, name: str, question: Callable[[Group], Answer]) -> Answer:
        self._opened()
        known = self._groups.get(name)
        group = known[1] if known else Group(self._properties, name, self._failures.note)
        self._groups[name] = (time.monotonic(), group)
        if len(self._groups) > MOST_GROUPS and not self._outdated:
            self._let_go(before=sorted(at for at, _ in self._groups.values())[1])
        return await asyncio.get_running_loop().run_in_executor(self._threads, question, group)

    def _let_go(self, before: float) -> None:
        """Close the clients of groups that were last asked before then, in a thread, as it may wait."""
        for name in [name for name, (at, _) in self._groups.items() if at < before]:
            self._threads.submit(self._groups.pop(name)[1].close)

    async def _committed_of(self, group: str, wanted: tuple[Partition, ...]) -> Mapping[Partition, Committed]:
        """Ask together with others; where many groups cannot be asked about at once, by a client of the group's own."""
        if not self._outdated:
            with contextlib.suppress(Outdated):
                return (await self._committed.ask([(group, wanted)]))[group, wanted]
        return await self._as_group(group, lambda as_: as_.committed(wanted, DEADLINE))

    async def _read_committed(self, asked: frozenset[Question]) -> Mapping[Question, Told]:
        self._opened()
        if self._outdated:
            raise Outdated
        groups: dict[str, set[Partition]] = {}
        for group, partitions in asked:
            groups.setdefault(group, set()).update(partitions)
        try:
            found = await self._offsets.read(groups, DEADLINE)
        except Outdated:
            self._outdated = True
            raise
        return {(group, wanted): _wanted(found[group], wanted) for group, wanted in asked}

    async def _read_topics(self, names: frozenset[str]) -> Mapping[str, TopicSeen | Exception | None]:
        asked = self._opened().describe_topics(TopicCollection(list(names)), request_timeout=DEADLINE)
        return {name: _topic(name, found) for name, found in (await _each(asked)).items()}

    async def _read_settings(self, names: frozenset[str]) -> Mapping[str, Mapping[str, str] | Exception]:
        about = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        found = await _each(self._opened().describe_configs(about, request_timeout=DEADLINE))
        return {one.name: _settings(entries) for one, entries in found.items()}

    async def _read_ends(self, partitions: frozenset[Partition]) -> Mapping[Partition, Span | Exception]:
        first, after = await asyncio.gather(
            _each(self._list(partitions, OffsetSpec.earliest())), _each(self._list(partitions, OffsetSpec.latest()))
        )
        return {one: _span(first[one], after[one]) for one in partitions}

    async def _read_written(self, partitions: frozenset[Partition]) -> Mapping[Partition, int | Exception]:
        found = await _each(self._list(partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED))
        return {at: end if isinstance(end, Exception) else end.offset for at, end in found.items()}

    def _list(
        self,
        partitions: Iterable[Partition],
        spec: OffsetSpec,
        level: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[Partition, Future[Any]]:
        asked = {TopicPartition(topic, number): spec for topic, number in partitions}
        futures = self._opened().list_offsets(asked, isolation_level=level, request_timeout=DEADLINE)
        return {(at.topic, at.partition): future for at, future in futures.items()}


OWN = {"log_level": "2", "socket.timeout.ms": "4000", "socket.connection.setup.timeout.ms": "4000"}
"""What the deadlines of the operator rest on."""


async def _told(future: Future[Answer]) -> Answer:
    return await asyncio.wrap_future(future)


async def _each(futures: Mapping[Item, Future[Any]]) -> dict[Item, Any]:
    """Return each answer or the exception it brought."""
    found = await asyncio.gather(*map(asyncio.wrap_future, futures.values()), return_exceptions=True)
    return dict(zip(futures, found, strict=True))


def _wanted(found: Told, wanted: Iterable[Partition]) -> Told:
    return found if isinstance(found, Exception) else {at: found[at] for at in wanted if at in found}


def _topic(name: str, found: Any) -> TopicSeen | Exception | None:
    if isinstance(found, KafkaException) and found.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return None
    if isinstance(found, Exception):
        return found
    replicas = min((len(one.replicas) for one in found.partitions), default=None)
    bits = found.topic_id.get_most_significant_bits(), found.topic_id.get_least_significant_bits()
    return TopicSeen(name=name, partitions=len(found.partitions), id=topic_id(*bits), replicas=replicas)


def _settings(found: Any) -> Mapping[str, str] | Exception:
    if isinstance(found, Exception):
        return found
    return {name: entry.value for name, entry in found.items() if entry.value is not None}


def _span(first: Any, after: Any) -> Span | Exception:
    for found in (first, after):
        if isinstance(found, Exception):
            return found
    return Span(start=first.offset, end=after.offset)
