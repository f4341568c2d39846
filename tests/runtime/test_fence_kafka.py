"""Two real processes: what was given away is begun no more and gets no letter from its old owner."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace import config as contract
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, make_world
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HANG = 25.0
"""Seconds after which an attempt at the hanging target times out."""

SHORT_DRAIN = "from headrace.worker import poll; poll.REVOKE_BUDGET = 1.0"


class Hanging:
    """A target that never answers in time; it counts the attempts of each pod at each partition.

    ``given`` has what was counted when the second pod first tried, to which a partition had been given by then.
    """

    def __init__(self) -> None:
        self.attempts: Counter[tuple[str, int]] = Counter()
        self.given: Counter[tuple[str, int]] = Counter()
        self.released = threading.Event()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve on a port of loopback and give its address."""
        hanging = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if self.path == "/second" and not hanging.given:
                    hanging.given = hanging.attempts.copy()
                hanging.attempts[self.path, int(self.headers["headrace-partition"])] += 1
                hanging.released.wait(HANG * 2)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            self.released.set()
            server.shutdown()


def letters_written(world: World) -> int:
    """Return how many records the dead-letter topic has."""
    return sum(world.end(world.config.topics.dead_letters, number) for number in range(2))


@pytest.mark.case("delivery-1")
def test_a_hanging_record_that_moved_is_tried_and_buried_by_its_new_owner_only(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """The target hangs, a second pod comes, the first one's time to finish is over: 2 attempts and 1 letter each.

    What hung at the first pod when the partition moved is no attempt.
    """
    world = make_world(kafka_broker, tmp_path, retry={"attempts": 2, "initial": 0.01, "max": 0.01})
    for partition in (0, 1):
        world.produce([(f"k{partition}", {})], partition=partition)
    target = Hanging()
    with target.served() as url, pushing(world, f"{url}/first") as first:
        until("both to hang", lambda: sum(target.attempts.values()) == 2)
        with pushing(world, f"{url}/second") as second:
            until("both to be buried", lambda: world.committed() == {0: 1, 1: 1})
            assert first.stop() == second.stop() == 0
    moved = next(partition for path, partition in target.attempts if path == "/second")
    assert target.attempts["/first", moved] == target.given["/first", moved]
    assert target.attempts["/second", moved] + target.given["/first", moved] in (2, 3)
    assert letters_written(world) == 2


@contextmanager
def pushing(world: World, url: str) -> Iterator[Running]:
    """Run a pod that pushes to ``url`` and has a second to finish what runs."""
    http = contract.Handler(http=contract.Http(url=url, timeout=HANG))
    with consuming(world, world.config.model_copy(update={"handler": http}), SHORT_DRAIN) as running:
        yield running


@pytest.mark.case("delivery-1")
@pytest.mark.parametrize(
    ("wish", "protocol"),
    [
        pytest.param({"after": 15, "fail": 9}, "classic", id="waiting for its next attempt", marks=pytest.mark.sweep),
        pytest.param({"sleep": 15, "fail": 9}, "classic", id="running"),
        pytest.param({"after": 15, "fail": 9}, "consumer", id="waiting, with the brokers' session"),
    ],
)
def test_a_pod_that_stood_still_begins_and_writes_nothing_of_what_others_have(
    kafka_broker: KafkaBroker, tmp_path: Path, wish: dict[str, object], protocol: contract.GroupProtocol
) -> None:
    """Stopped for longer than its session, it goes on where its partitions have long been handled by another."""
    attempts = 2 if "after" in wish else 1
    retry = {"attempts": attempts, "initial": 15, "max": 15}
    world = make_world(kafka_broker, tmp_path, protocol=protocol, retry=retry)
    kafka = world.config.kafka.model_copy(update={"properties": {"session.timeout.ms": "10000"}})
    config = world.config.model_copy(update={"kafka": kafka})
    for partition in (0, 1):
        world.produce([(f"k{partition}", wish)], partition=partition)
    with consuming(world, config) as first:
        until("both to begin", lambda: len(world.effects("begin")) == 2)
        if "after" in wish:
            until("both to wait", lambda: first.log.read_text().count("again in") >= 2)
        first.process.send_signal(signal.SIGSTOP)
        with consuming(world, config) as second:
            until("the other pod to bury both", lambda: world.committed() == {0: 1, 1: 1})
            first.process.send_signal(signal.SIGCONT)
            until("the first to learn it", lambda: "lost " in first.log.read_text())
            until("the first to be given one again", lambda: first.log.read_text().count("assigned ") >= 2)
            assert first.stop() == second.stop() == 0
        begun = Counter(effect["pid"] for effect in world.effects("begin"))
        assert begun[first.process.pid] == 2
        assert 2 <= begun[second.process.pid] <= 2 * attempts, "what the first one tried may have been told"
        assert letters_written(world) == 2


@pytest.mark.case("delivery-1")
def test_a_pod_that_stood_still_while_it_stopped_writes_nothing_of_what_others_have(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """Asked to end, it waits for its records; stopped then for longer than its session, it leaves them to the other."""
    world = make_world(kafka_broker, tmp_path, stop=PATIENCE, retry={"attempts": 1})
    kafka = world.config.kafka.model_copy(update={"properties": {"session.timeout.ms": "10000"}})
    config = world.config.model_copy(update={"kafka": kafka})
    for partition in (0, 1):
        world.produce([(f"k{partition}", {"sleep": 15, "fail": 9})], partition=partition)
    with consuming(world, config) as first:
        until("both to begin", lambda: len(world.effects("begin")) == 2)
        first.process.terminate()
        until("the first to be asked", lambda: "asked to stop" in first.log.read_text())
        time.sleep(1)  # its poll thread comes to wait for them within a turn, which nothing tells
        first.process.send_signal(signal.SIGSTOP)
        with consuming(world, config) as second:
            until("the other pod to bury both", lambda: world.committed() == {0: 1, 1: 1})
            first.process.send_signal(signal.SIGCONT)
            assert first.process.wait(PATIENCE) == 0
            assert second.stop() == 0
    assert letters_written(world) == 2


@pytest.mark.case("delivery-1")
def test_a_pod_that_stops_leaves_its_records_before_the_group_gives_them_away(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """The group takes a member for gone that does not read for 8 s; the records run for longer."""
    world = make_world(kafka_broker, tmp_path, retry={"attempts": 1})
    properties = {"session.timeout.ms": "6000", "max.poll.interval.ms": "8000"}
    kafka = world.config.kafka.model_copy(update={"properties": properties})
    config = world.config.model_copy(update={"kafka": kafka})
    for partition in (0, 1):
        world.produce([(f"k{partition}", {"sleep": 14, "fail": 9})], partition=partition)
    with consuming(world, config) as first:
        until("both to begin", lambda: len(world.effects("begin")) == 2)
        with consuming(world, config) as second:
            assert first.stop() == 0
            until("the other pod to bury both", lambda: world.committed() == {0: 1, 1: 1})
            assert second.stop() == 0
    assert letters_written(world) == 2


@pytest.mark.case("delivery-1")
def test_letters_that_wait_to_be_written_are_dropped_with_their_partition(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    """There is no dead-letter topic until both partitions have moved; then each record has one letter."""
    world = make_world(kafka_broker, tmp_path, topics=False, retry={"attempts": 1})
    for topic in (world.source, world.config.topics.retry):
        kafka_broker.create_topic(topic, 2)
    for partition in (0, 1):
        world.produce([(f"k{partition}", {"fail": 9})], partition=partition)
    with consuming(world, before=SHORT_DRAIN) as first:
        until("both letters to wait", lambda: first.log.read_text().count("is not written") >= 2)
        with consuming(world, before=SHORT_DRAIN) as second:
            until("the second to be given one", lambda: "assigned " in second.log.read_text())
            until("the first to be given the other", lambda: first.log.read_text().count("assigned ") >= 2)
            kafka_broker.create_topic(world.config.topics.dead_letters, 2)
            until("both to be buried", lambda: world.committed() == {0: 1, 1: 1})
            assert first.stop() == second.stop() == 0
    assert letters_written(world) == 2
