"""The backlog as observed on a real Kafka: dead letters, redrives and what waits in the retry topic."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from confluent_kafka import Producer, TopicPartition

from headrace import config as contract
from headrace import names
from headrace.kafka.topics import Reader, Writer
from headrace.letters import reading, redrive
from headrace.progress import Progress, encode
from headrace_operator.clients.errors import Unauthorized
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import BacklogSeen, LogSeen, Partition, Span
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe import backlog as observe
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import write_commits
from tests.operator import worlds
from tests.operator.asking import answered
from tests.raw_producer import raw_producer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

PARTITIONS = 3


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One consumer with its topics, and the operator's memory of it."""

    name: str
    servers: str
    kafka: Kafka
    history: History
    topics: contract.Topics

    @property
    def connection(self) -> dict[str, str]:
        return {"bootstrap.servers": self.servers}

    async def seen(self) -> BacklogSeen:
        """Return what one tick observes."""
        resource = worlds.resource("Consumer", self.name, {})
        names_ = (self.topics.retry, self.topics.dead_letters, self.topics.resolutions)
        topics = await self.kafka.topics((*self.topics.sources, *names_))
        return await observe.backlog(resource, self.kafka, topics, self.history, datetime.now(UTC))

    async def until(self, total: int, outstanding: int) -> BacklogSeen:
        """Tick until it counts so many; then the command line counts the same."""
        counts = (total, outstanding)
        seen = await answered(
            self.seen, lambda seen: (seen.dead_letters_total, seen.dead_letters_outstanding) == counts
        )
        with Reader(self.connection) as reader:
            assert len(list(reading.outstanding(reader, self.topics))) == outstanding
        return seen

    async def until_lags(self, topic: str, wanted: dict[int, int]) -> BacklogSeen:
        """Tick until these are the lags of a topic's partitions."""
        return await answered(self.seen, lambda seen: lags(seen, topic) == wanted)

    def bury(self, count: int) -> None:
        producer = Producer(self.connection)
        for number in range(count):
            producer.produce(self.topics.dead_letters, b"v", key=b"k", partition=number % PARTITIONS)
        assert producer.flush(PATIENCE) == 0

    def resolve(self, key: bytes) -> None:
        """Discard a dead letter by hand."""
        producer = Producer(self.connection)
        producer.produce(self.topics.resolutions, b"{}", key=key)
        assert producer.flush(PATIENCE) == 0

    def redrive(self, limit: int) -> None:
        config = contract.Config(
            namespace="shop",
            consumer=self.name,
            pipeline="orders",
            group=names.group("shop", self.name),
            kafka=contract.Kafka(bootstrap_servers=self.servers),
            topics=self.topics,
            handler=contract.Handler(http=contract.Http(url="http://localhost:1/")),
        )
        order = redrive.Order(redrive_id="1", by="test")
        identity = redrive.transactional_id(config)
        with Writer(self.connection, identity) as writer, Reader(self.connection) as reader:
            planned = redrive.plan(reader, config, redrive.Selection(limit=limit))
            for _ in redrive.execute(reader, writer, config, order, planned, now=lambda: datetime.now(UTC)):
                pass


@pytest.fixture
async def shop(kafka_broker: KafkaBroker) -> AsyncIterator[Shop]:
    name = f"billing-{uuid4().hex[:8]}"
    place = ("shop", name)
    topics = contract.Topics(
        sources=(f"{name}.orders",),
        retry=names.retry_topic(*place),
        dead_letters=names.dead_letter_topic(*place),
        resolutions=names.resolutions_topic(*place),
    )
    for topic in (*topics.sources, topics.retry, topics.dead_letters):
        kafka_broker.create_topic(topic, PARTITIONS)
    kafka_broker.create_topic(topics.resolutions, 1, {"cleanup.policy": "compact"})
    kafka = Kafka("kafka", {"bootstrap.servers": kafka_broker.bootstrap_servers})
    await _coordinated(kafka, names.group(*place))
    yield Shop(name=name, servers=kafka_broker.bootstrap_servers, kafka=kafka, history=History(), topics=topics)
    kafka.close()


async def test_no_redrive_hides_a_later_dead_letter(shop: Shop) -> None:
    """Each redrive writes a marker beside its resolutions; the count is what the command line lists."""
    shop.bury(5)
    await shop.until(5, 5)
    for done in range(1, 4):
        shop.redrive(1)
        await shop.until(5, 5 - done)
    shop.bury(2)
    await shop.until(7, 4)
    shop.redrive(100)
    await shop.until(7, 0)


@pytest.mark.case("delivery-5")
async def test_letters_of_anybody_are_counted_whatever_they_say(shop: Shop, kafka_broker: KafkaBroker) -> None:
    """Header names that are not UTF-8, text for a time, resolutions of nothing: counted as the command lists them."""
    odd = (
        ((b"na\xffme", b"1"), (b"\xfe", None)),
        ((b"headrace.first-failed-at", b"9" * 5000), (b"headrace.last-failed-at", b"2024-01-01T00:00:00Z")),
        ((b"kafka_dlt-original-timestamp", b"yesterday"), (b"headrace.handler-status", b"9" * 5000)),
    )
    with raw_producer(kafka_broker.bootstrap_servers) as producer:
        for written in odd:
            producer.produce(shop.topics.dead_letters, 0, b"\xff", b"v", written)
        for key in (b"9" * 5000 + b"/0", b"0/" + b"9" * 5000, b"0/\xff", b"-1/0", b""):
            producer.produce(shop.topics.resolutions, 0, key, b"\xff", odd[0])
    await shop.until(3, 3)


async def test_an_operator_that_starts_anew_counts_the_same(shop: Shop) -> None:
    """Its memory is gone; everything is read again."""
    shop.bury(4)
    shop.redrive(1)
    await shop.until(4, 3)
    shop.history.letters = History().letters

    await shop.until(4, 3)


@pytest.mark.case("delivery-11")
async def test_no_letter_in_a_topic_made_anew_counts_as_resolved(shop: Shop, kafka_broker: KafkaBroker) -> None:
    """Letters of the old topic lay at the same places and were put back; those of the new one are, one after another.

    Once more anew, and for an operator that was not there before.
    """
    shop.bury(6)
    shop.redrive(100)
    await shop.until(6, 0)
    for _ in range(2):
        kafka_broker.make_anew(shop.topics.dead_letters)
        shop.bury(3)
        await shop.until(3, 3)
        shop.redrive(1)
        await shop.until(3, 2)
    shop.history.letters = History().letters
    await shop.until(3, 2)


@pytest.mark.case("delivery-11")
async def test_resolutions_that_name_no_topic_count_until_it_is_known_to_be_made_anew(
    shop: Shop, kafka_broker: KafkaBroker
) -> None:
    """As a person writes them, or an older redrive; afterwards one must name the topic."""
    shop.bury(3)
    shop.resolve(b"0/0")
    await shop.until(3, 2)
    shop.redrive(1)
    await shop.until(3, 1)

    kafka_broker.make_anew(shop.topics.dead_letters)
    shop.bury(3)
    shop.resolve(b"1/0")
    await shop.until(3, 3)
    with Reader(shop.connection) as reader:
        found = reading.find(reader, shop.topics, reading.Place(0, 0))
    assert found is not None
    assert found.resolution is None
    shop.resolve(found.resolution_key.encode())
    await shop.until(3, 2)


async def test_what_waits_in_the_retry_topic_are_records_not_markers(shop: Shop) -> None:
    """Before a commit, amid, and after the last record; also when only an aborted transaction lies there."""
    shop.bury(6)
    shop.redrive(100)
    await shop.until(6, 0)
    every = [(shop.topics.retry, number) for number in range(PARTITIONS)]
    # the markers are written a moment after the commit
    await answered(lambda: shop.kafka.offsets(every), lambda found: {found[one].end for one in every} == {3})
    await shop.until_lags(shop.topics.retry, {0: 2, 1: 2, 2: 2})

    _commit(shop, {0: 1, 1: 2})
    seen = await shop.until_lags(shop.topics.retry, {0: 1, 1: 0, 2: 2})
    assert {part.lag_seconds for part in seen.partitions if part.partition == 1} == {0.0}

    producer = Producer({**shop.connection, "transactional.id": shop.name})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(shop.topics.retry, b"v", partition=1)
    producer.flush(PATIENCE)
    producer.abort_transaction(PATIENCE)
    at = (shop.topics.retry, 1)
    await answered(lambda: shop.kafka.offsets([at]), lambda found: found[at].end >= 5)
    await shop.until_lags(shop.topics.retry, {0: 1, 1: 0, 2: 2})


@pytest.mark.case("scaling-7")
async def test_records_behind_an_open_transaction_wait(shop: Shop) -> None:
    """A producer that does not end its transaction hides nothing, and what it takes back is no lag in the end."""
    source = shop.topics.sources[0]
    producer = Producer({**shop.connection, "transactional.id": shop.name, "transaction.timeout.ms": 600_000})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(source, b"open", partition=0)
    assert producer.flush(PATIENCE) == 0
    plain = Producer(shop.connection)
    for number in range(20):
        plain.produce(source, b"plain", partition=number % 2)
    assert plain.flush(PATIENCE) == 0

    seen = await shop.until_lags(source, {0: 11, 1: 10, 2: 0})
    assert [part.partition for part in seen.partitions if part.is_blocked] == [0]

    producer.abort_transaction(PATIENCE)
    _commit(shop, {0: 12, 1: 10}, source)
    seen = await shop.until_lags(source, {0: 0, 1: 0, 2: 0})
    assert [part.partition for part in seen.partitions if part.is_blocked] == []


@pytest.mark.case("scaling-7")
async def test_a_transaction_that_was_read_up_to_is_seen_to_block(shop: Shop) -> None:
    """What lies before it was handled; the one record in it waits, and no plain one follows."""
    source = shop.topics.sources[0]
    plain = Producer(shop.connection)
    plain.produce(source, b"plain", partition=2)
    assert plain.flush(PATIENCE) == 0
    _commit(shop, {2: 1}, source)
    producer = Producer({**shop.connection, "transactional.id": shop.name, "transaction.timeout.ms": 600_000})
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    producer.produce(source, b"open", partition=2)
    assert producer.flush(PATIENCE) == 0

    seen = await shop.until_lags(source, {0: 0, 1: 0, 2: 1})

    assert [(part.partition, part.lag) for part in seen.partitions if part.is_blocked] == [(2, 1)]
    producer.abort_transaction(PATIENCE)


@pytest.mark.case("scaling-2")
async def test_what_is_done_beyond_the_commit_is_no_lag(shop: Shop) -> None:
    """As the member tells; what another kind of consumer writes there is passed over."""
    source = shop.topics.sources[0]
    plain = Producer(shop.connection)
    for number in range(60):
        plain.produce(source, b"plain", partition=number % 3)
    assert plain.flush(PATIENCE) == 0

    _commit(shop, {0: 2, 1: 2, 2: 2}, source, {0: encode(Progress(done=15, retrying=1, held=3)), 1: "somebody's"})

    seen = await shop.until_lags(source, {0: 3, 1: 18, 2: 18})
    assert [(part.retrying, part.held) for part in seen.partitions if part.topic == source] == [(1, 3), (0, 0), (0, 0)]


async def test_dead_letters_that_cannot_be_read_leave_the_lag_known(shop: Shop) -> None:
    """The count is unknown and it is said why; once it was known it stays, and is said to be old."""

    class Unreadable(Kafka):
        async def read(self, group: str, spans: Mapping[Partition, Span], *, values: bool = False) -> LogSeen:
            raise Unauthorized("Kafka refuses to read: the topic is not yours.")

    shop.bury(1)
    blind = dataclasses.replace(shop, kafka=Unreadable("kafka", shop.connection))
    unknown = (None, "Kafka refuses to read: the topic is not yours.")
    seen = await answered(
        blind.seen, lambda seen: (seen.dead_letters_outstanding, seen.dead_letters_unknown) == unknown
    )
    assert len(seen.partitions) == 2 * PARTITIONS

    await shop.until(1, 1)
    shop.bury(1)
    seen = await answered(blind.seen)
    assert seen.dead_letters_outstanding == 1
    assert seen.dead_letters_unknown
    blind.kafka.close()


async def _coordinated(kafka: Kafka, group: str) -> None:
    """Wait until a new Kafka has loaded the coordinator of the group."""
    await answered(lambda: kafka.committed(group, [("none", 0)]))


def lags(seen: BacklogSeen, topic: str) -> dict[int, int]:
    """Return the lag of each partition of a topic."""
    return {part.partition: part.lag for part in seen.partitions if part.topic == topic}


def _commit(shop: Shop, offsets: dict[int, int], topic: str = "", told: Mapping[int, str] | None = None) -> None:
    """Commit offsets of the retry topic, or of ``topic``, each with what is ``told`` of its partition."""
    places = [
        TopicPartition(topic or shop.topics.retry, number, offset, metadata=(told or {}).get(number, ""))
        for number, offset in offsets.items()
    ]
    write_commits(shop.connection, names.group("shop", shop.name), places)
