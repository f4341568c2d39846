"""The Kafka client against a real broker, and against none."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Any, cast

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace_operator.clients.errors import Invalid, Retryable, Unreachable
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import Committed, LogSeen, Partition, RecordSeen, Span
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import write_commits
from tests.operator.asking import answered
from tests.ports import free_port
from tests.waiting import PATIENCE

NOBODY = {"bootstrap.servers": "127.0.0.1:1"}
LATE = 50.0
"""Seconds that are more than any deadline of ours, and less than those the client has by itself."""


@pytest.fixture
async def kafka(kafka_broker: KafkaBroker) -> AsyncIterator[Kafka]:
    made = Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})
    await _until(lambda: _coordinates(made))
    yield made
    made.close()


@pytest.mark.slow
async def test_it_reads_topics_and_offsets(kafka_broker: KafkaBroker, kafka: Kafka) -> None:
    """A topic is made once, its ends and the group's offsets are read, one that is missing is left out."""
    cluster = await answered(kafka.cluster, lambda found: found.group_protocols)
    assert cluster.brokers == 1
    assert {"classic", "consumer"} <= set(cluster.group_protocols or ())
    for _ in range(2):
        await answered(lambda: kafka.create("orders", 2, {}))
    await _there(kafka, "orders")
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for number in range(3):
        producer.produce("orders", str(number).encode(), partition=1)
    assert producer.flush(PATIENCE) == 0
    write_commits({"bootstrap.servers": kafka_broker.bootstrap_servers}, "g", [TopicPartition("orders", 1, 2)])

    every = [("orders", 0), ("orders", 1)]
    ends = {("orders", 0): Span(start=0, end=0), ("orders", 1): Span(start=0, end=3)}
    assert set(await answered(lambda: kafka.topics(["orders", "none"]))) == {"orders"}
    assert await answered(lambda: kafka.offsets(every)) == ends
    assert await answered(lambda: kafka.committed("g", every)) == {("orders", 1): Committed(offset=2)}
    assert await answered(lambda: kafka.committed("nobody", every)) == {}


@pytest.mark.slow
async def test_a_log_is_read_without_what_is_not_committed(kafka_broker: KafkaBroker, kafka: Kafka) -> None:
    """Markers and aborted records are passed over to the end; no group comes to be."""
    topic = kafka_broker.create_topic("log", 2)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers, "transactional.id": "log"})
    producer.init_transactions(PATIENCE)
    for commit in (True, False, True):
        producer.begin_transaction()
        producer.produce(topic, b"value" if commit else b"aborted", key=b"k", partition=0)
        producer.produce(topic, None if commit else b"aborted", key=b"gone", partition=0)
        producer.flush(PATIENCE)
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE)
    at = (topic, 0)
    # the markers of the last transaction are written a moment after its commit
    await answered(lambda: kafka.offsets([at]), lambda found: found[at].end == 9)

    seen = await _read(kafka, at, Span(start=0, end=9))

    assert [(one.offset, one.key, one.empty) for one in seen.records] == [
        (0, b"k", False), (1, b"gone", True), (6, b"k", False), (7, b"gone", True),
    ]  # fmt: skip
    part = await _read(kafka, at, Span(start=1, end=2))
    assert part.records == (RecordSeen(topic=topic, partition=0, offset=1, key=b"gone", empty=True),)
    groups = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers}).list_consumer_groups().result(PATIENCE)
    assert "reader" not in {group.group_id for group in groups.valid}


@pytest.mark.slow
async def test_many_consumers_cause_one_round_of_requests(kafka_broker: KafkaBroker) -> None:
    """Twenty ask at once for the ends of their topics: the broker gets one request for the first, one for the last."""
    topics = [kafka_broker.create_topic(f"many-{number}") for number in range(20)]
    sent = Sent()
    kafka = Kafka("kafka", sent.watched(kafka_broker.bootstrap_servers))
    await _readable(kafka, *topics)

    async def ask() -> tuple[list[Any], list[Any], Counter[str]]:
        before = await sent.now(kafka)
        ends, seen = await asyncio.gather(
            asyncio.gather(*(kafka.offsets([(topic, 0)]) for topic in topics)),
            asyncio.gather(*(kafka.topics([topic]) for topic in topics)),
        )
        return ends, seen, await sent.now(kafka) - before

    ends, seen, requests = await answered(ask)

    assert [set(one) for one in ends] == [{(topic, 0)} for topic in topics]
    assert [set(one) for one in seen] == [{topic} for topic in topics]
    assert requests["ListOffsets"] == 2
    assert requests["Metadata"] < 8
    kafka.close()


@pytest.mark.slow
async def test_the_failing_question_of_one_harms_no_other(kafka: Kafka) -> None:
    """A topic that is gone fails its own asker, in the same round and afterwards."""
    await answered(lambda: kafka.create("well", 1, {}))
    await _readable(kafka, "well")

    bad, good = await _together(lambda: kafka.offsets([("gone", 0)]), lambda: kafka.offsets([("well", 0)]))

    assert isinstance(bad, Retryable)
    assert "could not list offsets of gone" in str(bad)
    assert good == {("well", 0): Span(start=0, end=0)}
    assert set(await answered(lambda: kafka.topics(["well"]))) == {"well"}


@pytest.mark.slow
async def test_a_creation_that_failed_is_not_sent_later(kafka_broker: KafkaBroker) -> None:
    """Kafka comes back after the deadline: the topic is not made, so that no act outlasts the right to it."""
    port = free_port()
    kafka = Kafka("kafka", {"bootstrap.servers": f"127.0.0.1:{port}"})
    begun = time.monotonic()
    with pytest.raises(Unreachable):
        await kafka.create("late", 1, {})
    assert time.monotonic() - begun < LATE

    with _forwarded(port, kafka_broker.bootstrap_servers):
        await _until(lambda: _answers(kafka))
        await answered(lambda: kafka.create("later", 1, {}))
        await _there(kafka, "later")
        assert "late" not in await answered(lambda: kafka.topics(["late", "later"]))
    kafka.close()


@pytest.mark.slow
async def test_a_dead_kafka_costs_seconds_once() -> None:
    """It fails within its deadline, and then at once for a while, with the same sentence."""
    async with asyncio.timeout(PATIENCE):
        while not await _is_failed_once():
            pass  # the machine stood still between the two questions


async def _is_failed_once() -> bool:
    """Ask a dead Kafka twice, and tell whether the second failure took no time."""
    with closing(Kafka("kafka", NOBODY)) as kafka:
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="Connection refused") as first:
            await kafka.cluster()
        middle = time.monotonic()
        with pytest.raises(Unreachable) as again:
            await kafka.topics(["orders"])
        end = time.monotonic()
    assert middle - begun < LATE
    assert str(first.value) == str(again.value)
    return end - middle < (middle - begun) / 2


@pytest.mark.slow
async def test_a_log_of_which_nothing_came_says_nothing_of_the_kafka() -> None:
    """It may be one partition's leader: who asks about another is not turned away."""
    kafka = Kafka("kafka", NOBODY)

    with pytest.raises(Retryable, match="could not read dlq yet: nothing came in time") as failed:
        await kafka.read("billing", {("dlq", 0): Span(start=0, end=5)})
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="Connection refused"):
        await kafka.cluster()

    assert not isinstance(failed.value, Unreachable)
    assert time.monotonic() - begun > 0.5, "the second question was not asked"
    kafka.close()


@pytest.mark.slow
async def test_who_asks_while_it_is_closed_may_ask_anew() -> None:
    """Nothing that waits is cancelled, which would look like an order to end."""
    kafka = Kafka("kafka", NOBODY)
    asked = [
        asyncio.create_task(question)
        for number in range(4)
        for question in (kafka.cluster(), kafka.topics(["orders"]), kafka.offsets([("orders", number)]))
    ]
    await asyncio.sleep(0.1)
    kafka.close()

    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [one for one in found if not isinstance(one, Retryable)] == []
    with pytest.raises(Unreachable, match="closed"):
        await kafka.committed("g", [("orders", 0)])


class Sent:
    """How many requests of each kind a client sent, as its own statistics say."""

    def __init__(self) -> None:
        self._seen: list[dict[str, Any]] = []

    def watched(self, servers: str) -> dict[str, str]:
        """Return properties of a client that is watched."""
        watch = {"statistics.interval.ms": "100", "stats_cb": lambda text: self._seen.append(json.loads(text))}
        return {"bootstrap.servers": servers, **cast(dict[str, str], watch)}

    async def now(self, kafka: Kafka) -> Counter[str]:
        """Return the counts that hold now."""
        begun = time.monotonic() * 1_000_000  # as the client counts
        async with asyncio.timeout(PATIENCE):
            while not self._seen or self._seen[-1]["ts"] < begun:
                await asyncio.sleep(0.1)
                kafka._hear()
        counts: Counter[str] = Counter()
        for broker in self._seen[-1]["brokers"].values():
            counts.update(broker["req"])
        return counts


class _forwarded:  # noqa: N801 - reads as a verb
    """Meanwhile forward connections to ``port`` of loopback to ``address``."""

    def __init__(self, port: int, address: str) -> None:
        self._gate = socket.create_server(("127.0.0.1", port))
        self._to = ("127.0.0.1", int(address.rsplit(":", 1)[1]))
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        for one in (self._gate, *self._sockets):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                came, _ = self._gate.accept()
            except OSError:
                return
            went = socket.create_connection(self._to)
            self._sockets += [came, went]
            for one, other in ((came, went), (went, came)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        try:
            while some := one.recv(65536):
                other.sendall(some)
        except OSError:
            return


async def _together(*questions: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Return what becomes of questions that are asked at once, again for as long as Kafka is silent to one of them."""

    async def ask() -> list[Any]:
        return await asyncio.gather(*(one() for one in questions), return_exceptions=True)

    def are_heard(found: list[Any]) -> bool:
        return not any(isinstance(one, Unreachable) for one in found)

    return await answered(ask, are_heard)


async def _until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.1)


async def _there(kafka: Kafka, topic: str) -> None:
    await answered(lambda: kafka.topics([topic]), lambda found: topic in found)


async def _readable(kafka: Kafka, *topics: str) -> None:
    """Wait until brokers have the logs of topics of one partition: they know of the topics before."""
    await answered(lambda: kafka.offsets([(topic, 0) for topic in topics]))


async def _read(kafka: Kafka, at: Partition, span: Span) -> LogSeen:
    """Read the whole of a span in one go."""
    return await answered(lambda: kafka.read("reader", {at: span}), lambda found: found.reached == {at: span.end})


async def _coordinates(kafka: Kafka) -> bool:
    """Tell whether a new Kafka has loaded the coordinators of the groups asked for here."""
    try:
        for group in ("g", "nobody", "reader"):
            await kafka.committed(group, [("none", 0)])
    except Retryable:
        return False
    return True


async def _answers(kafka: Kafka) -> bool:
    try:
        await kafka.cluster()
    except Unreachable:
        return False
    return True


NO_TOPICS = ("", ".", "..", "a b", "a/b", "ü", "a\n", "x" * 250, "x" * 40_000, "a\0b")


@pytest.mark.slow
@pytest.mark.case("clusters-6")
async def test_what_names_no_topic_blinds_nobody_else(kafka_broker: KafkaBroker, kafka: Kafka) -> None:
    """Each is refused before it joins the question of the others, with words."""
    topic = kafka_broker.create_topic("plain")
    await _there(kafka, topic)
    asked = ([topic], *([topic, wrong] for wrong in NO_TOPICS), [topic, "none"])
    well, *ill, other = await _together(*(partial(kafka.topics, names) for names in asked))

    assert [one[topic].partitions for one in (well, other) if isinstance(one, dict)] == [1, 1]
    assert [type(one) for one in ill] == [Invalid] * len(NO_TOPICS)
    assert all("is no name of a topic" in str(one) for one in ill)


@pytest.mark.slow
@pytest.mark.case("clusters-6")
async def test_a_question_that_the_client_refuses_is_asked_apart(kafka_broker: KafkaBroker, kafka: Kafka) -> None:
    """It raises for an empty name and a negative partition, whatever else is asked with it."""
    topic = kafka_broker.create_topic("apart")
    await _readable(kafka, topic)
    described = [partial(kafka._described.ask, [name]) for name in (topic, "", topic)]
    ends = [partial(kafka._ends.ask, [at]) for at in ((topic, 0), ("", 0), (topic, 0))]
    seen = await _together(*described, *ends)

    assert [isinstance(one, Exception) for one in seen] == [False, True, False] * 2
