"""Dead letters on a real Kafka: listed, opened, put back; and what a redrive that dies leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_END, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import config as contract
from headrace import headers
from headrace.cli import answers
from headrace.failure import Failure, Reason
from headrace.kafka.topics import FencedError, Outgoing, Reader, Stored, Writer
from headrace.letters import redrive
from headrace.record import Headers, Position, Record
from tests.kafka_broker import KafkaBroker
from tests.kafka_client import hide
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

PARTITIONS = 3


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One consumer with its own topics, and its configuration in a file."""

    config: contract.Config
    path: Path
    broker: KafkaBroker

    def command(self, *arguments: str, before: str = "") -> list[str]:
        return [sys.executable, "-c", f"{before}\nfrom headrace.cli import app; app()", "internal", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HEADRACE_CONFIG": str(self.path)}

    def ask(self, *arguments: str) -> tuple[int, list[answers.Answer]]:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        said = [answers.decode(line) for line in done.stdout.splitlines()]
        assert None not in said, done.stdout + done.stderr
        return done.returncode, [answer for answer in said if answer is not None]

    def connection(self) -> dict[str, str]:
        return {"bootstrap.servers": self.broker.bootstrap_servers}

    def committed(self, topic: str) -> list[Stored]:
        with Reader(self.connection()) as reader:
            spans = reader.spans(topic)
            return [stored for number, span in spans.items() for stored in reader.read(topic, number, span)]

    def bury(self, count: int, *, keys: int = 5, foreign: bool = False) -> None:
        producer = Producer(self.connection())
        for number in range(count):
            partition = number % PARTITIONS
            producer.produce(
                self.config.topics.dead_letters,
                partition=partition,
                key=f"c-{number % keys}",
                value=f"v-{number}",
                headers=list(_spring(partition, number) if foreign else _ours(partition, number)),
            )
        assert producer.flush(PATIENCE) == 0


def _ours(partition: int, number: int) -> Headers:
    record = Record(
        topic="orders", partition=partition, offset=number, key=b"k", value=b"v", headers=(("id", b"m-%d" % number),)
    )
    failure = Failure(
        group="headrace.shop.billing",
        reason=Reason.MAX_ATTEMPTS if number % 2 else Reason.NON_RETRIABLE,
        attempts=8,
        message="422 poisoned",
        exception="headrace.Reject",
        status=422,
        first_failed_at=1_700_000_000,
        last_failed_at=1_700_000_100,
    )
    return headers.for_dead_letter(record, failure)


def _spring(partition: int, number: int) -> Headers:
    return (
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", number.to_bytes(8, "big")),
        ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
    )


@pytest.fixture
def shop(kafka_broker: KafkaBroker, tmp_path: Path) -> Shop:
    name = f"billing-{uuid4().hex[:8]}"
    topics = contract.Topics(
        sources=("orders",), retry=f"retry.{name}", dead_letters=f"dlq.{name}", resolutions=f"dlq.{name}.resolutions"
    )
    for topic in (topics.retry, topics.dead_letters):
        kafka_broker.create_topic(topic, PARTITIONS)
    kafka_broker.create_topic(topics.resolutions, 1, {"cleanup.policy": "compact"})
    config = contract.Config(
        namespace="shop",
        consumer=name,
        pipeline="orders",
        group=f"headrace.shop.{name}",
        kafka=contract.Kafka(bootstrap_servers=kafka_broker.bootstrap_servers),
        topics=topics,
        handler=contract.Handler(http=contract.Http(url="http://localhost:1/")),
    )
    path = tmp_path / "config.json"
    path.write_text(contract.dump(config))
    return Shop(config=config, path=path, broker=kafka_broker)


def _count(said: Sequence[answers.Answer]) -> int:
    assert isinstance(said[-1], answers.Done), said
    return said[-1].count


def _eventually(count: Callable[[], int], wanted: int) -> None:
    """Markers of a committed transaction are written a moment after the commit is answered."""
    deadline = time.monotonic() + PATIENCE
    while (seen := count()) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    assert seen == wanted


def _each_once(shop: Shop, count: int) -> None:
    """Every dead letter has exactly one committed retry record and one resolution."""
    _eventually(lambda: len(shop.committed(shop.config.topics.retry)), count)
    _eventually(lambda: len(shop.committed(shop.config.topics.resolutions)), count)
    retried = Counter(one.value for one in shop.committed(shop.config.topics.retry))
    resolved = Counter(one.key for one in shop.committed(shop.config.topics.resolutions))
    assert retried == Counter(f"v-{number}".encode() for number in range(count))
    assert len(resolved) == count
    assert set(resolved.values()) == {1}


def test_outstanding_dead_letters_are_listed_with_why_and_whence(shop: Shop) -> None:
    shop.bury(4)
    code, said = shop.ask("dlq-list")
    assert code == 0
    assert _count(said) == 4
    first = said[0]
    assert isinstance(first, answers.Listed)
    assert first.letter.name == "0/0"
    assert (first.letter.reason, first.letter.attempts, first.letter.handler_status) == ("non-retriable", 8, 422)
    assert (first.letter.error, first.letter.message_id, first.letter.key) == ("422 poisoned", "m-0", "c-0")
    assert first.letter.source is not None
    assert first.letter.source.model_dump() == {"topic": "orders", "partition": 0, "offset": 0}


def test_a_limit_lists_fewer_but_counts_all(shop: Shop) -> None:
    shop.bury(5)
    _, said = shop.ask("dlq-list", "--limit", "2")
    assert sum(isinstance(one, answers.Listed) for one in said) == 2
    assert _count(said) == 5


def test_a_dead_letter_is_opened_with_its_payload(shop: Shop) -> None:
    shop.bury(2)
    code, said = shop.ask("dlq-show", "1/0")
    assert code == 0
    assert isinstance(said[0], answers.Found)
    assert (said[0].opened.value, said[0].opened.value_encoding) == ("v-1", "text")
    assert said[0].opened.resolution is None


@pytest.mark.parametrize("place", ["0/99", "7/0"])
def test_a_dead_letter_that_is_not_there_is_not_found(shop: Shop, place: str) -> None:
    code, said = shop.ask("dlq-show", place)
    assert code == 3
    assert isinstance(said[-1], answers.Failed)


def test_a_redrive_keeps_key_value_headers_and_partition_and_resolves(shop: Shop) -> None:
    shop.bury(6)
    code, said = shop.ask("redrive", "--by", "ada")
    assert (code, _count(said)) == (0, 6)
    _each_once(shop, 6)
    back = next(one for one in shop.committed(shop.config.topics.retry) if one.value == b"v-4")
    known = headers.decode(back.headers)
    assert (back.partition, back.key) == (1, b"c-4")
    assert known.origin == Position("orders", 1, 4)
    assert (known.redrive_count, known.attempts) == (1, 0)
    assert ("id", b"m-4") in back.headers
    resolution = json.loads(shop.committed(shop.config.topics.resolutions)[0].value or b"")
    assert (resolution["action"], resolution["by"], resolution["redriveId"]) == ("redriven", "ada", known.redrive_id)
    assert _count(shop.ask("dlq-list")[1]) == 0
    opened = shop.ask("dlq-show", "1/1")[1][0]
    assert isinstance(opened, answers.Found)
    assert opened.opened.resolution is not None


def test_a_second_redrive_finds_nothing_to_do(shop: Shop) -> None:
    shop.bury(3)
    shop.ask("redrive")
    assert _count(shop.ask("redrive")[1]) == 0
    _each_once(shop, 3)


@pytest.mark.case("delivery-2")
def test_what_was_put_back_and_got_lost_is_seen_and_put_back_again(shop: Shop) -> None:
    """The retry topic lost its records: their letters are resolved, and the selected one goes back once more."""
    shop.bury(3)
    assert _count(shop.ask("redrive", "--offset", "1/0", "--offset", "2/0")[1]) == 2
    _lose(shop, shop.config.topics.retry)

    code, said = shop.ask("dlq-list", "--resolved")
    assert code == 0
    assert [one.letter.name for one in said if isinstance(one, answers.Listed)] == ["1/0", "2/0"]

    assert _count(shop.ask("redrive", "--again", "--offset", "1/0", "--offset", "0/0")[1]) == 1
    _eventually(lambda: len(shop.committed(shop.config.topics.retry)), 1)
    assert [one.value for one in shop.committed(shop.config.topics.retry)] == [b"v-1"]
    assert _count(shop.ask("dlq-list")[1]) == 1


@pytest.mark.case("delivery-2")
def test_only_what_got_lost_is_told_so_and_put_back_once_more(shop: Shop) -> None:
    """Not what lies in the retry topic, nor what a person discarded; and what was put back again is lost no more."""
    shop.bury(6)
    assert _count(shop.ask("redrive", "--offset", "1/0", "--offset", "2/0")[1]) == 2
    _lose(shop, shop.config.topics.retry)
    assert _count(shop.ask("redrive", "--offset", "0/0", "--offset", "1/1")[1]) == 2
    producer = Producer(shop.connection())
    producer.produce(shop.config.topics.resolutions, b'{"action": "discarded"}', key=b"2/1")
    assert producer.flush(PATIENCE) == 0

    code, said = shop.ask("dlq-list", "--lost")
    assert code == 0
    assert [one.letter.name for one in said if isinstance(one, answers.Listed)] == ["1/0", "2/0"]
    assert _count(shop.ask("redrive", "--lost", "--key", "c-1")[1]) == 1
    assert _count(shop.ask("redrive", "--lost")[1]) == 1

    assert _count(shop.ask("dlq-list", "--lost")[1]) == 0
    _eventually(lambda: len(shop.committed(shop.config.topics.retry)), 4)
    assert _count(shop.ask("dlq-list")[1]) == 1


@pytest.mark.case("delivery-2")
def test_what_lies_behind_an_open_transaction_is_not_lost(shop: Shop) -> None:
    shop.bury(3)
    hidden = hide(shop.connection(), shop.config.topics.retry)
    assert _count(shop.ask("redrive", "--offset", "0/0")[1]) == 1
    assert _count(shop.ask("dlq-list", "--lost")[1]) == 0
    hidden.abort_transaction(PATIENCE)


@pytest.mark.case("delivery-2")
def test_nothing_is_put_back_twice_behind_an_open_transaction(shop: Shop) -> None:
    shop.bury(3)
    hidden = hide(shop.connection(), shop.config.topics.resolutions)
    answered = [shop.ask("redrive", "--offset", "0/0")[1][-1] for _ in range(2)]
    hidden.abort_transaction(PATIENCE)
    for one in answered:
        assert isinstance(one, answers.Failed)
        assert f"a transaction is open in {shop.config.topics.resolutions}" in one.what
    assert _count(shop.ask("redrive")[1]) == 3
    _each_once(shop, 3)


@pytest.mark.case("delivery-2")
def test_what_was_put_back_is_lost_when_the_retry_topic_is_made_anew(shop: Shop) -> None:
    """Also what other tools wrote; one that says not whence it came is never called lost."""
    shop.bury(2, foreign=True)
    producer = Producer(shop.connection())
    producer.produce(shop.config.topics.dead_letters, b"v", key=b"k", partition=2)
    assert producer.flush(PATIENCE) == 0
    assert _count(shop.ask("redrive")[1]) == 3
    assert _count(shop.ask("dlq-list", "--lost")[1]) == 0

    shop.broker.make_anew(shop.config.topics.retry)
    _, said = shop.ask("dlq-list", "--lost")
    assert [one.letter.name for one in said if isinstance(one, answers.Listed)] == ["0/0", "1/0"]


def _lose(shop: Shop, topic: str) -> None:
    """Delete all records of ``topic``."""
    every = [TopicPartition(topic, number, OFFSET_END) for number in range(PARTITIONS)]
    admin = AdminClient(shop.connection())
    for deleted in admin.delete_records(every).values():
        deleted.result(timeout=PATIENCE)


def test_a_dry_run_changes_nothing(shop: Shop) -> None:
    shop.bury(4)
    code, said = shop.ask("redrive", "--dry-run")
    assert code == 0
    assert isinstance(said[0], answers.Planned)
    assert (said[0].selected, said[0].outstanding) == (4, 4)
    assert said[0].reasons == {"max-attempts": 2, "non-retriable": 2}
    assert shop.committed(shop.config.topics.retry) == []
    assert _count(shop.ask("dlq-list")[1]) == 4


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (["--key", "c-1"], {b"v-1", b"v-6"}),
        (["--offset", "2/0", "--offset", "0/1"], {b"v-2", b"v-3"}),
        (["--reason", "max-attempts", "--limit", "1"], {b"v-3"}),
    ],
)
def test_only_what_is_selected_goes_back(shop: Shop, selection: list[str], expected: set[bytes]) -> None:
    shop.bury(8)
    shop.ask("redrive", *selection)
    _eventually(lambda: len(shop.committed(shop.config.topics.retry)), len(expected))
    assert {one.value for one in shop.committed(shop.config.topics.retry)} == expected


def test_dead_letters_written_by_spring_go_back_to_their_partition(shop: Shop) -> None:
    shop.bury(3, foreign=True)
    listed = shop.ask("dlq-list")[1][1]
    assert isinstance(listed, answers.Listed)
    assert listed.letter.source is not None
    assert (listed.letter.source.partition, listed.letter.source.offset) == (1, 1)
    shop.ask("redrive")
    _eventually(lambda: len(shop.committed(shop.config.topics.retry)), 3)
    assert {(one.partition, one.value) for one in shop.committed(shop.config.topics.retry)} == {
        (0, b"v-0"),
        (1, b"v-1"),
        (2, b"v-2"),
    }


HALTS = """
import time
from headrace.kafka.topics import Writer
append, count = Writer.append, iter(range(10**6))
def halting(self, records):
    append(self, records)
    if next(count) == 5:
        time.sleep(3600)
Writer.append = halting
"""
"""Code that a command runs first, so that it is ended when its sixth transaction is committed, and not told yet."""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_redrive_ended_in_mid_way_repeats_nothing_and_forgets_nothing(shop: Shop, ending: signal.Signals) -> None:
    count = 3000
    shop.bury(count)
    words = shop.command("redrive", before=HALTS)
    process = subprocess.Popen(words, env=shop.environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(answer := answers.decode(line), answers.Progress) and answer.done >= 500:
            break
    process.send_signal(ending)
    process.wait(timeout=PATIENCE)
    process.stdout.close()
    code, said = shop.ask("redrive")
    assert code == 0
    assert 0 < _count(said) < count
    _each_once(shop, count)


def test_what_a_dying_writer_left_open_is_rolled_back_by_the_next(shop: Shop) -> None:
    shop.bury(1)
    name = redrive.transactional_id(shop.config)
    dying = Producer({**shop.connection(), "transactional.id": name})
    dying.init_transactions(PATIENCE)
    dying.begin_transaction()
    dying.produce(shop.config.topics.retry, partition=0, value=b"never committed")
    dying.flush(PATIENCE)
    assert _count(shop.ask("redrive")[1]) == 1
    _each_once(shop, 1)


def test_a_younger_redrive_stops_an_older_one(shop: Shop) -> None:
    name = redrive.transactional_id(shop.config)
    record = Outgoing(topic=shop.config.topics.retry, partition=0, key=b"k", value=b"v")
    with Writer(shop.connection(), name) as older, Writer(shop.connection(), name) as younger:
        with pytest.raises(FencedError):
            older.append([record])
        younger.append([record])
    _eventually(lambda: len(shop.committed(shop.config.topics.retry)), 1)


def test_a_younger_redrive_is_named_also_between_two_records_of_a_transaction(shop: Shop) -> None:
    name = redrive.transactional_id(shop.config)
    record = Outgoing(topic=shop.config.topics.retry, partition=0, key=b"k", value=b"v")

    def fencing() -> Iterator[Outgoing]:
        """A younger writer comes before the first record, and the older one hears of it before the others."""
        with Writer(shop.connection(), name):
            yield record
            until("the older one being fenced", lambda: _is_fatal(older))
        yield record

    with Writer(shop.connection(), name) as older, pytest.raises(FencedError):
        older.append(_Once(fencing()))


class _Once(list[Outgoing]):
    """Records that are made while they are read for the first time."""

    def __init__(self, made: Iterator[Outgoing]) -> None:
        super().__init__()
        self._made = made

    def __iter__(self) -> Iterator[Outgoing]:
        return self._made


def _is_fatal(writer: Writer) -> bool:
    try:
        writer._client.poll(1)
    except KafkaException as error:
        return bool(error.args[0].fatal())
    return False


def test_two_redrives_at_once_put_each_back_once(shop: Shop) -> None:
    count = 3000
    shop.bury(count)
    both = [
        subprocess.Popen(shop.command("redrive"), env=shop.environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [one.communicate(timeout=PATIENCE)[0] for one in both]
    codes = sorted(one.returncode for one in both)
    assert codes in ([0, 0], [0, 1]), said
    if codes == [0, 1]:
        assert "another redrive" in "".join(said)
    _each_once(shop, count)


def test_a_kafka_that_does_not_answer_is_unreachable(shop: Shop) -> None:
    gone = shop.config.model_copy(update={"kafka": contract.Kafka(bootstrap_servers="127.0.0.1:1")})
    shop.path.write_text(contract.dump(gone))
    code, said = shop.ask("dlq-list")
    assert code == 5
    assert isinstance(said[-1], answers.Failed)
    assert "127.0.0.1:1" in said[-1].what


def test_a_missing_topic_is_named(shop: Shop) -> None:
    topics = shop.config.topics.model_copy(update={"dead_letters": "dlq.nobody"})
    shop.path.write_text(contract.dump(shop.config.model_copy(update={"topics": topics})))
    code, said = shop.ask("dlq-list")
    assert code == 3
    assert isinstance(said[-1], answers.Failed)
    assert "dlq.nobody" in said[-1].what
