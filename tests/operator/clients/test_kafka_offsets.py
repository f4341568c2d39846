"""Committed offsets of many groups by one client: against a real broker, and against brokers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace.progress import Progress, Stop, encode
from headrace_operator.clients import kafka as clients_kafka
from headrace_operator.clients.errors import HeadraceError, Invalid, Retryable, Unauthorized, Unreachable
from headrace_operator.clients.kafka import MOST_GROUPS, Kafka
from headrace_operator.clients.kafka_group import Group
from headrace_operator.clients.kafka_link import LONGEST
from headrace_operator.observed.kafka import Committed, Partition, Span, StopSeen
from tests.cluster import authority
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import write_commits
from tests.mock_cluster import mocked
from tests.operator import asking
from tests.operator.asking import refused
from tests.operator.clients import group_memory
from tests.waiting import PATIENCE, until

GROUPS = 500
LATE = 60.0
"""Seconds that are more than any deadline of ours, also on a busy machine."""

TOLD = encode(Progress(done=3, retrying=1, held=2, stopped=Stop(0, 4, 9)))
"""What a member tells with its commit."""


async def answered(kafka: Kafka, group: str, partitions: list[Partition]) -> Mapping[Partition, Committed]:
    """Return what a group has committed, once a broker that has just begun knows it."""
    return await asking.answered(lambda: kafka.committed(group, partitions))


def commit(broker: KafkaBroker, group: str, *offsets: TopicPartition) -> None:
    """Commit for a group that has no members."""
    write_commits({"bootstrap.servers": broker.bootstrap_servers}, group, offsets)


@pytest.fixture
def topic(kafka_broker: KafkaBroker, request: pytest.FixtureRequest) -> str:
    return kafka_broker.create_topic(request.node.name.replace("[", "-").replace("]", ""), 3)


def clients() -> int:
    """Return how many clients of librdkafka this process has, by their main threads."""
    return sum("rdk:main" in _name(thread) for thread in Path("/proc/self/task").iterdir())


def _name(thread: Path) -> str:
    try:
        return (thread / "comm").read_text()
    except OSError:  # it has ended since it was listed
        return ""


@pytest.mark.slow
@pytest.mark.case("clusters-5")
async def test_it_tells_what_a_client_of_the_groups_own_tells(kafka_broker: KafkaBroker, topic: str) -> None:
    """Offsets, what members told with them, and what is not committed, of groups that are asked together."""
    commit(kafka_broker, f"{topic}.a", TopicPartition(topic, 0, 7, TOLD), TopicPartition(topic, 2, 0, "ü" * 700))
    commit(kafka_broker, f"{topic}.b", TopicPartition(topic, 1, 2**40))
    wanted = [*((topic, number) for number in range(3)), ("none", 0), ("none", 5)]
    groups = [f"{topic}.{name}" for name in ("a", "b", "nobody", "ü")]
    with closing(Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})) as kafka:
        await answered(kafka, groups[0], wanted)
        before = clients()
        seen = await asyncio.gather(*(answered(kafka, group, wanted) for group in groups))
        part = await answered(kafka, groups[0], [(topic, 0)])
        assert clients() <= before  # those of tests before may end meanwhile

    for group, one in zip(groups, seen, strict=True):
        own = Group({"bootstrap.servers": kafka_broker.bootstrap_servers}, group, lambda _: None)
        assert one == await asyncio.to_thread(own.committed, wanted, PATIENCE)
        own.close()
    assert seen[0][topic, 0] == Committed(offset=7, done=3, retrying=1, held=2, stopped=StopSeen("0/4", 9))
    assert part == {(topic, 0): seen[0][topic, 0]}
    assert seen[2] == {}


@pytest.mark.slow
@pytest.mark.case("clusters-5")
@pytest.mark.timeout(600)
def test_five_hundred_groups_cost_little(kafka_broker: KafkaBroker) -> None:
    """At most 50 KiB for each, no thread, and all is told; a client for each takes 0.7 MiB and 4 threads."""
    kafka_broker.create_topic(group_memory.TOPIC, group_memory.PARTITIONS)
    commit(kafka_broker, "first", TopicPartition(group_memory.TOPIC, 0, 1))
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    told = [
        TopicPartition(group_memory.TOPIC, number, number, group_memory.TOLD)
        for number in range(group_memory.PARTITIONS)
    ]
    for number in range(GROUPS):
        (done,) = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(f"g{number}", told)]).values()
        done.result(PATIENCE)
    seen = measured(kafka_broker, GROUPS)
    print(f"\n{GROUPS} groups: {seen}")

    assert seen["found"] == GROUPS * group_memory.PARTITIONS
    assert seen["kib_a_group"] <= 50
    assert seen["threads"] <= 2


def measured(broker: KafkaBroker, groups: int, *more: str) -> dict[str, float]:
    """Return what a process of its own measured."""
    words = [sys.executable, "-m", "tests.operator.clients.group_memory", broker.bootstrap_servers, str(groups), *more]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.case("clusters-5")
async def test_clients_that_read_logs_are_few(kafka_broker: KafkaBroker, topic: str) -> None:
    """Dead letters of many Consumers are read by clients of which a handful stays."""
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    producer.produce(topic, b"letter", partition=0)
    assert producer.flush(PATIENCE) == 0
    with closing(Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})) as kafka:
        await answered(kafka, "g", [(topic, 0)])
        before = clients()
        for number in range(3 * MOST_GROUPS):
            await _read(kafka, f"{topic}.{number}", topic)
        async with asyncio.timeout(PATIENCE):
            while clients() > before + MOST_GROUPS:  # noqa: ASYNC110 - they end in threads of their own
                await asyncio.sleep(0.1)


async def _read(kafka: Kafka, group: str, topic: str) -> None:
    """Read the one record of a topic, however busy the machine is."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(Retryable):
                if (await kafka.read(group, {(topic, 0): Span(start=0, end=1)})).records:
                    return


@pytest.mark.slow
@pytest.mark.case("clusters-5")
async def test_it_logs_in_as_the_client_does(kafka_broker: KafkaBroker, topic: str) -> None:
    commit(kafka_broker, topic, TopicPartition(topic, 0, 7))
    kafka_broker.add_user("reader", "a,b=c ü")
    login = {
        "bootstrap.servers": kafka_broker.sasl_servers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "reader",
    }
    with closing(Kafka("kafka", {**login, "sasl.password": "a,b=c ü"})) as kafka:
        before = clients()
        assert await answered(kafka, topic, [(topic, 0)]) == {(topic, 0): Committed(offset=7)}
        assert clients() <= before  # those of tests before may end meanwhile
    with closing(Kafka("kafka", {**login, "sasl.password": "other"})) as kafka:
        words = "refuses to read offsets.*Check the credentials"
        assert isinstance(await refused(lambda: kafka.committed(topic, [(topic, 0)]), words), Unauthorized)


@pytest.mark.slow
@pytest.mark.case("clusters-5")
async def test_it_speaks_tls_to_a_broker_that_the_authority_knows(
    kafka_broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    commit(kafka_broker, topic, TopicPartition(topic, 0, 7))
    authority = kafka_broker.certify(tmp_path / "known").read_text()
    tls = {"bootstrap.servers": kafka_broker.tls_servers, "security.protocol": "SSL"}
    with closing(Kafka("kafka", {**tls, "ssl.ca.pem": authority})) as kafka:
        before = clients()
        assert await answered(kafka, topic, [(topic, 0)]) == {(topic, 0): Committed(offset=7)}
        assert clients() <= before  # those of tests before may end meanwhile
    with closing(Kafka("kafka", tls)) as kafka:
        failure = await refused(lambda: kafka.committed(topic, [(topic, 0)]), "certificate")
        assert isinstance(failure, Unreachable)


@pytest.mark.slow
async def test_it_shows_its_certificate_where_a_broker_asks_for_one(
    kafka_broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    """One of another authority, and none, are refused by the broker; one with another's key by the client itself."""
    commit(kafka_broker, topic, TopicPartition(topic, 0, 7))
    for folder in ("known", "strange"):
        authority.issue(tmp_path / folder, [authority.Certificate(file="operator", user="operator")])
    kafka_broker.trust(tmp_path / "known" / "ca.crt")
    tls = {
        "bootstrap.servers": kafka_broker.mutual_servers,
        "security.protocol": "SSL",
        "ssl.ca.pem": (kafka_broker.authority / "ca.crt").read_text(),
    }
    known, strange = (pair(tmp_path / folder / "operator") for folder in ("known", "strange"))
    with closing(Kafka("kafka", {**tls, **known})) as kafka:
        before = clients()
        assert await answered(kafka, topic, [(topic, 0)]) == {(topic, 0): Committed(offset=7)}
        assert clients() <= before  # those of tests before may end meanwhile
    for wrong in (strange, {}):
        with closing(Kafka("kafka", {**tls, **wrong})) as kafka:
            failure = await refused(partial(kafka.committed, topic, [(topic, 0)]), "alert")
            assert isinstance(failure, Unreachable)
    with pytest.raises(Invalid, match="the client refuses these properties") as unlike:
        Kafka("kafka", {**tls, **known, "ssl.key.pem": strange["ssl.key.pem"]})
    assert strange["ssl.key.pem"].splitlines()[1] not in str(unlike.value)


def pair(file: Path) -> dict[str, str]:
    """Return a certificate and its key as properties of librdkafka."""
    ends = {"ssl.certificate.pem": ".crt", "ssl.key.pem": ".key"}
    return {name: file.with_suffix(end).read_text() for name, end in ends.items()}


@pytest.mark.slow
@pytest.mark.case("clusters-5")
async def test_a_broker_that_hangs_or_starts_anew_is_asked_again(kafka_broker: KafkaBroker, topic: str) -> None:
    commit(kafka_broker, topic, TopicPartition(topic, 0, 7))
    with closing(Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})) as kafka:
        await answered(kafka, topic, [(topic, 0)])
        with kafka_broker.silent():
            begun = time.monotonic()
            with pytest.raises(Unreachable):
                await kafka.committed(topic, [(topic, 0)])
            assert time.monotonic() - begun < LATE
        await answered(kafka, topic, [(topic, 0)])
        kafka_broker.restart()
        assert await answered(kafka, topic, [(topic, 0)]) == {(topic, 0): Committed(offset=7)}


@pytest.mark.slow
@pytest.mark.case("clusters-5")
async def test_brokers_that_cannot_be_asked_about_many_groups_are_asked_about_each() -> None:
    """Those of before Kafka 3.0; a mock stands in for them. A group that has moved meanwhile is found again."""
    with mocked(2) as cluster, closing(Kafka("kafka", {"bootstrap.servers": cluster.bootstrap_servers})) as kafka:
        topic = cluster.create_topic("orders")
        for group in ("a", "b"):
            cluster.coordinate(group, 1)
            commit(cluster.broker, group, TopicPartition(topic, 0, 7))
        for broker in (1, 2):
            cluster.coordinate("a", broker)
            seen = await asyncio.gather(*(answered(kafka, group, [(topic, 0)]) for group in ("a", "b")))
            assert [set(one) for one in seen] == [{(topic, 0)}] * 2


@dataclass
class Brokers:
    """Brokers that answer by hand, at ports of loopback; `homes` says which of them looks after a group.

    A broker says NOT_COORDINATOR of other groups, and `refused` of those in it. `odd` is what all answer instead, again
    and again until that is as long as `length`; `held` is what they
    wait for with an answer. So many connections are `open`.
    """

    homes: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    odd: bytes | None = None
    held: asyncio.Event | None = None
    length: int = 0
    sent: int = 0
    open: int = 0
    ports: list[int] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def close(self, number: int) -> None:
        """Let a broker be away."""
        self.servers[number].close()
        for writer in self.writers:
            writer.close()

    async def serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection of a broker until it is closed."""
        self.writers.append(writer)
        self.open += 1
        try:
            while True:
                request = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
                key, version, call = int.from_bytes(request[:2]), int.from_bytes(request[2:4]), request[4:8]
                if (key, version) not in ((18, 0), (10, 4), (9, 8)):
                    break  # that is the client for all else
                self.asked.append((number, key))
                if self.held is not None:
                    await self.held.wait()
                body = call + (self._answer(number, key, request[12:]) if self.odd is None or key == 18 else self.odd)
                writer.write(max(len(body), self.length).to_bytes(4) + body)
                while self.length and self.sent < self.length:
                    writer.write(body)
                    await writer.drain()
                    self.sent += len(body)
        except (EOFError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def _answer(self, number: int, key: int, request: bytes) -> bytes:
        named = [group for group in self.homes if bytes([len(group) + 1]) + group.encode() in request]
        count = bytes([len(named) + 1])
        if key == 18:
            return bytes(2) + (2).to_bytes(4) + b"".join(_numbers(one, 0, 9) for one in (9, 10))
        if key == 10:
            return bytes(5) + count + b"".join(map(self._coordinator, named)) + b"\0"
        return bytes(5) + count + b"".join(self._offsets(number, group) for group in named) + b"\0"

    def _coordinator(self, group: str) -> bytes:
        port = self.ports[self.homes[group]].to_bytes(4)
        return _text(group) + bytes(4) + _text("127.0.0.1") + port + bytes(2) + b"\0\0"

    def _offsets(self, number: int, group: str) -> bytes:
        error = self.refused.get(group, 0 if self.homes[group] == number else KafkaError.NOT_COORDINATOR)
        part = (0).to_bytes(4) + (7 + number).to_bytes(8) + bytes(4) + _text("") + bytes(2) + b"\0"
        topics = b"\1" if error else b"\2" + _text("orders") + b"\2" + part + b"\0"
        return _text(group) + topics + error.to_bytes(2) + b"\0"


def _numbers(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2) for number in numbers)


def _text(text: str) -> bytes:
    return bytes([len(text) + 1]) + text.encode()


@asynccontextmanager
async def serving(count: int) -> AsyncIterator[Brokers]:
    """Run brokers until the end of the block."""
    made = Brokers()
    for number in range(count):
        server = await asyncio.start_server(lambda *streams, me=number: made.serve(me, *streams), "127.0.0.1", 0)
        made.servers.append(server)
        made.ports.append(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        for number in range(count):
            made.close(number)


@pytest.fixture
async def brokers() -> AsyncIterator[Brokers]:
    async with serving(2) as made:
        made.homes = {"a": 0, "b": 0, "c": 1}
        yield made


@pytest.fixture
def kafka(brokers: Brokers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kafka]:
    """Give a client that is patient with brokers that answer late."""
    monkeypatch.setattr(clients_kafka, "DEADLINE", PATIENCE)
    monkeypatch.setattr(clients_kafka, "ANSWER", PATIENCE)
    made = Kafka("kafka", {"bootstrap.servers": ",".join(f"127.0.0.1:{port}" for port in brokers.ports)})
    yield made
    made.close()


async def _all(kafka: Kafka) -> list[int | str]:
    """Return the offset of each group, or the failure that is not for want of time."""
    found: list[Any] = [TimeoutError("no answer in time")]
    while any("no answer in time" in str(one) for one in found):
        asked = (kafka.committed(group, [("orders", 0)]) for group in ("a", "b", "c"))
        found = await asyncio.gather(*asked, return_exceptions=True)
    return [str(one) if isinstance(one, BaseException) else one["orders", 0].offset for one in found]


@pytest.mark.case("clusters-5")
async def test_a_group_that_moved_is_found_where_it_is(brokers: Brokers, kafka: Kafka) -> None:
    """The first broker says that it is another's, which ended the process of who asked through an admin client."""
    assert await _all(kafka) == [7, 7, 8]
    brokers.homes["a"] = 1
    assert await _all(kafka) == [8, 7, 8]
    brokers.homes = dict.fromkeys(brokers.homes, 1)
    brokers.close(0)
    assert await _all(kafka) == [8, 8, 8]


@pytest.mark.case("clusters-5")
async def test_all_groups_of_a_coordinator_are_one_request(brokers: Brokers, kafka: Kafka) -> None:
    brokers.homes |= {f"g{number}": number % 2 for number in range(40)}
    await asyncio.gather(*(kafka.committed(group, [("orders", 0)]) for group in brokers.homes))

    assert brokers.asked.count((0, 9)) == brokers.asked.count((1, 9)) == 1
    assert sum(key == 10 for _, key in brokers.asked) == 1


@pytest.mark.case("clusters-5")
@pytest.mark.parametrize("knows", [True, False], ids=["on an open connection", "on the first one"])
async def test_who_is_closed_while_an_answer_is_due_leaves_no_connection(
    brokers: Brokers, kafka: Kafka, knows: bool
) -> None:
    if knows:
        assert await _all(kafka) == [7, 7, 8]
    brokers.held, count = asyncio.Event(), len(brokers.asked)
    asking = asyncio.create_task(kafka.committed("a", [("orders", 0)]))
    await asyncio.to_thread(until, "the question", lambda: len(brokers.asked) > count)
    kafka.close()
    brokers.held.set()
    with pytest.raises(HeadraceError):
        await asking
    await asyncio.to_thread(until, "the end of each connection", lambda: brokers.open == 0)


@pytest.mark.case("clusters-6")
@pytest.mark.parametrize(
    ("error", "words"),
    [(KafkaError.GROUP_AUTHORIZATION_FAILED, "refuses to read offsets of b"), (999, "could not read offsets of b")],
)
async def test_the_failure_of_one_group_is_no_others(brokers: Brokers, kafka: Kafka, error: int, words: str) -> None:
    brokers.refused["b"] = error
    first, second, third = await _all(kafka)

    assert (first, third) == (7, 8)
    assert words in str(second)


@pytest.mark.case("clusters-6")
async def test_a_group_that_an_answer_leaves_out_has_not_committed_nothing(brokers: Brokers, kafka: Kafka) -> None:
    """What nobody said is unknown, to its asker alone."""
    del brokers.homes["b"]
    first, second, third = await _all(kafka)

    assert (first, third) == (7, 8)
    assert "says nothing of b" in str(second)


@pytest.mark.case("clusters-5")
@pytest.mark.parametrize(
    "odd",
    [b"", b"\0" * 3, bytes(5) + b"\xff\xff\xff\xff\x0f", bytes(5) + b"\2\xff\xff\xff\xff\x0f", b"x" * 100],
)
async def test_an_answer_that_is_none_is_told_and_no_bug(brokers: Brokers, kafka: Kafka, odd: bytes) -> None:
    brokers.odd = odd
    for group in ("a", "c"):
        with pytest.raises(HeadraceError, match=f"could not read offsets of {group}"):
            await kafka.committed(group, [("orders", 0)])
    brokers.odd = None
    assert await _all(kafka) == [7, 7, 8]


@pytest.mark.case("clusters-5")
async def test_an_answer_without_end_is_not_read(brokers: Brokers, kafka: Kafka) -> None:
    """Nobody's answer takes the operator's memory, whatever length it says to have."""
    brokers.odd, brokers.length = bytes(65536), LONGEST + 1
    with pytest.raises(HeadraceError):
        await kafka.committed("a", [("orders", 0)])

    assert brokers.sent < LONGEST / 2
