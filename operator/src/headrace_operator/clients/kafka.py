"""Kafka, as the operator sees it: the cluster, topics, offsets of a group; and new topics.

Each Kafka has threads of its own, each call a deadline, and a Kafka that just failed fails at once for a while: one
that is dead delays nobody. Credentials are read here and go nowhere else. It must not decide anything.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from headrace_operator.clients import errors
from headrace_operator.clients.kube import Kube
from headrace_operator.clients.measured import measured
from headrace_operator.observed.kafka import ClusterSeen, TopicSeen
from headrace_operator.observed.kube import Resource

DEADLINE = 4.0
"""Seconds that one request may take."""

REST = 3.0
"""Seconds during which a Kafka that failed is not asked again."""

CHANGING = re.compile(r" \((after|in state)[^)]*\)")
"""What differs in each telling of the same failure; a status that told it would change for ever."""

Partition = tuple[str, int]
Answer = TypeVar("Answer")


class Kafka:
    """One Kafka with one login."""

    def __init__(self, name: str, properties: Mapping[str, str]) -> None:
        self._name = f"Kafka {name} at {properties['bootstrap.servers']}"
        self._said: KafkaError | None = None
        own = {
            "error_cb": self._note,
            "log_level": 2,
            "reconnect.backoff.ms": 500,
            "socket.timeout.ms": 4000,
            "socket.connection.setup.timeout.ms": 4000,
        }
        try:
            self._admin = AdminClient({**own, **properties})
        except (KafkaException, ValueError) as error:
            raise errors.Invalid(f"{self._name}: the client refuses these properties: {error}") from error
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="kafka")
        self._failure: tuple[float, errors.HeadraceError] | None = None

    async def cluster(self) -> ClusterSeen:
        """Read identifier and number of brokers."""
        return await self._ask("describe the cluster", self._cluster)

    async def topics(self, names: Iterable[str]) -> Mapping[str, TopicSeen]:
        """Read those of ``names`` that exist; no other topic is asked for."""
        return await self._ask("describe topics", partial(self._topics, tuple(dict.fromkeys(names))))

    async def create(self, topic: str, partitions: int, config: Mapping[str, str]) -> None:
        """Create a topic; one that exists is well."""
        await self._ask(f"create topic {topic}", partial(self._create, topic, partitions, dict(config)))

    async def offsets(self, partitions: Iterable[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """Read the first and the next offset of each partition."""
        return await self._ask("list offsets", partial(self._offsets, tuple(partitions)))

    async def committed(self, group: str, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Read the committed offsets of ``group``; partitions without one are left out."""
        return await self._ask(f"read offsets of {group}", partial(self._committed, group, tuple(partitions)))

    def close(self) -> None:
        """Let go of the threads; calls under way end by their deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @measured("kafka")
    async def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        if self._failure and time.monotonic() < self._failure[0]:
            raise self._failure[1]
        try:
            async with asyncio.timeout(DEADLINE * 1.5):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except (KafkaException, TimeoutError) as error:
            failure = self._translate(what, error)
            if not isinstance(failure, errors.Invalid):
                self._failure = (time.monotonic() + REST, failure)
            raise failure from error

    def _translate(self, what: str, error: Exception) -> errors.HeadraceError:
        self._admin.poll(0)
        cause = error.args[0] if isinstance(error, KafkaException) else None
        code = cause.code() if cause else KafkaError._TIMED_OUT
        if code in LOCAL and self._said:
            code, cause = self._said.code(), self._said
        said = CHANGING.sub("", cause.str()) if cause else f"no answer within {DEADLINE * 1.5:.0f} s"
        if code in LOCAL:
            return errors.Unreachable(f"{self._name} does not answer: {said}")
        if code in DENIED:
            return errors.Unauthorized(f"{self._name} refuses: {said}. Check the credentials and what they allow.")
        return errors.Invalid(f"{self._name}: could not {what}: {said}")

    def _note(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._said = error

    def _cluster(self) -> ClusterSeen:
        seen = self._admin.describe_cluster(request_timeout=DEADLINE).result(DEADLINE * 1.5)
        return ClusterSeen(cluster_id=str(seen.cluster_id), brokers=len(seen.nodes), features=())

    def _topics(self, names: tuple[str, ...]) -> dict[str, TopicSeen]:
        if not names:
            return {}
        seen: dict[str, TopicSeen] = {}
        asked = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=DEADLINE)
        for name, future in asked.items():
            try:
                seen[name] = TopicSeen(name=name, partitions=len(future.result(DEADLINE * 1.5).partitions))
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return seen

    def _create(self, topic: str, partitions: int, config: dict[str, str]) -> None:
        new = NewTopic(topic, num_partitions=partitions, config=config)
        try:
            self._admin.create_topics([new], request_timeout=DEADLINE)[topic].result(DEADLINE * 1.5)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _offsets(self, partitions: tuple[Partition, ...]) -> dict[Partition, tuple[int, int]]:
        if not partitions:
            return {}
        first = self._list(partitions, OffsetSpec.earliest())
        after = self._list(partitions, OffsetSpec.latest())
        ends = {at: future.result(DEADLINE * 1.5).offset for at, future in after.items()}
        return {at: (future.result(DEADLINE * 1.5).offset, ends[at]) for at, future in first.items()}

    def _list(self, partitions: tuple[Partition, ...], spec: Any) -> dict[Partition, Any]:
        asked = {TopicPartition(topic, number): spec for topic, number in partitions}
        futures = self._admin.list_offsets(asked, request_timeout=DEADLINE)
        return {(at.topic, at.partition): future for at, future in futures.items()}

    def _committed(self, group: str, partitions: tuple[Partition, ...]) -> dict[Partition, int]:
        if not partitions:
            return {}
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*one) for one in partitions])
        future = self._admin.list_consumer_group_offsets([asked], request_timeout=DEADLINE)[group]
        found = future.result(DEADLINE * 1.5).topic_partitions
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}


LOCAL = {
    KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT_QUEUE, KafkaError._SSL, KafkaError.REQUEST_TIMED_OUT, KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART,
}  # fmt: skip
"""Answers that may be other ones later."""

DENIED = {
    KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}  # fmt: skip


class Kafkas:
    """The Kafkas in use, one per KafkaConnection, spec and credentials."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._open: dict[tuple[str, str], tuple[str, Kafka]] = {}

    async def open(self, connection: Resource) -> Kafka:
        """Return a client for ``connection``: its accepted spec when it has one; raises `HeadraceError`."""
        spec = (connection.status.get("accepted") or {}).get("spec") or connection.spec
        properties = await self._properties(connection.namespace, spec)
        key, fingerprint = (connection.namespace, connection.name), json.dumps(properties, sort_keys=True)
        known = self._open.get(key)
        if known and known[0] == fingerprint:
            return known[1]
        made = Kafka(connection.name, properties)
        self._open[key] = (fingerprint, made)
        if known:
            known[1].close()
        return made

    def close(self) -> None:
        """Close every client."""
        for _, kafka in self._open.values():
            kafka.close()
        self._open.clear()

    async def _properties(self, namespace: str, spec: Mapping[str, Any]) -> dict[str, str]:
        if not spec.get("bootstrapServers"):
            raise errors.Invalid("The KafkaConnection names no bootstrapServers.")
        sasl, tls = spec.get("sasl"), spec.get("tls")
        protocol = f"{'SASL_' if sasl is not None else ''}{'SSL' if tls is not None else 'PLAINTEXT'}"
        found = {"bootstrap.servers": str(spec["bootstrapServers"]), "security.protocol": protocol}
        if sasl is not None:
            login = sasl["credentials"]
            values = await self._kube.secret_values(namespace, login["secret"])
            found["sasl.mechanism"] = sasl["mechanism"]
            found["sasl.username"] = _value(values, login["secret"], login.get("usernameKey") or "username")
            found["sasl.password"] = _value(values, login["secret"], login.get("passwordKey") or "password")
        if tls and tls.get("ca"):
            authority = await self._kube.secret_values(namespace, tls["ca"]["secret"])
            found["ssl.ca.pem"] = _value(authority, tls["ca"]["secret"], tls["ca"]["key"])
        return {**found, **(spec.get("properties") or {})}


def _value(values: Mapping[str, str], secret: str, key: str) -> str:
    if key not in values:
        raise errors.Invalid(f"Secret {secret} has no key {key}: add it.")
    return values[key].rstrip("\n")
