"""A consumer process over a real broker: nothing lost, order per key kept, whatever happens to it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from headrace import config as contract
from headrace import headers
from headrace_operator.plan.consumption import SPARE
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import (
    HANDLER,
    World,
    consuming,
    create_topics,
    make_world,
    read_topic,
)
from tests.runtime.history import SLACK, History, violations
from tests.runtime.test_scaling_kafka import SLEEP, WAIT
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow


def orders(count: int, keys: int = 10, **wish: object) -> list[tuple[str | None, object]]:
    return [(f"k{n % keys}", {"n": n, **wish}) for n in range(count)]


def assert_all_in_order(
    world: World, produced: Sequence[tuple[str | None, object]], killed: Mapping[str, float] | None = None
) -> None:
    keys = {number: str(key) for number, (key, _) in enumerate(produced)}
    history = History(produced=keys, effects=world.taken(), killed=killed or {})
    assert violations(history, SLACK) == []


def handled(world: World) -> int:
    return len({str(effect["value"]) for effect in world.effects()})


def test_order_per_key_is_kept_while_heads_fail(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    produced: list[tuple[str | None, object]]
    produced = [(f"k{n % 7}", {"n": n, "fail": 2 if n % 5 == 0 else 0}) for n in range(300)]
    world.produce(produced)
    with consuming(world) as running:
        until("300 effects", lambda: handled(world) == 300)
        until("readiness", lambda: running.get("/readyz")[0] == 200)
        assert running.get("/healthz")[0] == 200
        until("what is finished", lambda: running.metric("headrace_consumer_records_total", topic=world.source) == 300)
        assert running.metric("headrace_consumer_attempts_total", outcome="ok") == 300
        assert running.metric("headrace_consumer_attempts_total", outcome="retry") == 120
        assert running.metric("headrace_consumer_retries_total") == 120
        assert running.metric("headrace_consumer_attempts_total", outcome="dead_letter") == 0
        assert running.metric("headrace_consumer_processing_duration_seconds_count") == 420
        until("a commit", lambda: running.metric("headrace_consumer_commits_total", outcome="ok") > 0)
        assert running.stop() == 0
    assert_all_in_order(world, produced)
    assert len(world.effects()) == 300
    assert sum(world.committed().values()) == 300


def test_killed_in_the_middle_nothing_is_lost(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world, go = make_world(kafka_broker, tmp_path), tmp_path / "go"
    (tmp_path / "code" / "effects_handler.py").write_text(HANDLER.replace(SLEEP, f"{SLEEP}\n    {WAIT}"))
    world.produce([*orders(600, sleep=0.1)[:400], *orders(600, until=str(go))[400:]])
    with consuming(world) as running:
        until("a quarter", lambda: handled(world) > 150)
        running.process.kill()
        killed = {str(running.process.pid): time.time()}
        running.process.wait()
    assert handled(world) <= 400
    go.touch()
    with consuming(world) as running:
        until("the rest", lambda: handled(world) == 600)
        assert running.stop() == 0
    assert_all_in_order(world, orders(600), killed)
    assert sum(world.committed().values()) == 600


def test_a_poisoned_record_is_dead_lettered_after_its_attempts(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    own = [("id", b"m-1"), ("traceparent", trace.encode()), ("empty", None), ("id", b"m-2")]
    world.produce([("k1", {"n": 0, "poison": True})], headers=own, partition=1)
    world.produce([("k1", {"n": 1}), ("k2", {"n": 2})], partition=1)
    with consuming(world) as running:
        letter = world.dead_letters(1)[0]
        until("the other two", lambda: handled(world) == 2)
        assert running.stop() == 0
    assert len([one for one in world.effects("begin") if one["position"][2] == 0]) == 4  # type: ignore[index]
    assert (letter.key(), letter.value(), letter.partition()) == (b"k1", b'{"n": 0, "poison": true}', 1)
    assert letter.headers()[: len(own)] == own
    found = headers.decode(letter.headers())
    assert found.origin == (world.source, 1, 0)
    assert (found.attempts, found.reason, found.message_id) == (4, "max-attempts", "m-2")
    assert (found.origin_traceparent, found.exception) == (trace, "builtins.RuntimeError")
    assert world.committed()[1] == 3


def test_a_rejected_record_is_not_tried_again(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    world.produce([("k", {"n": 0, "reject": True})])
    with consuming(world):
        found = headers.decode(world.dead_letters(1)[0].headers())
    assert (found.attempts, found.reason, found.message) == (1, "non-retriable", "not wanted")


def test_a_redriven_record_runs_again_and_keeps_its_first_origin(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    world.produce([("k", {"n": 0, "poison": True}), ("k", {"n": 1, "reject": True})])
    with consuming(world) as running:
        for letter in world.dead_letters(2):
            back = list(headers.for_redrive(tuple(letter.headers()), redrive_id="r-1", now=1.0))
            _put(world, world.config.topics.retry, letter.partition(), letter.key(), letter.value(), back)
        until("the redriven effect", lambda: handled(world) == 1)
        again = world.dead_letters(3)[2]
        assert running.stop() == 0
    assert [effect["redriven"] for effect in world.effects()] == [1]
    found = headers.decode(again.headers())
    assert found.origin is not None
    assert (found.origin.topic, found.redrive_count, found.redrive_id) == (world.source, 1, "r-1")
    assert headers.original(tuple(again.headers())) == ()


def _put(
    world: World, topic: str, partition: int, key: bytes, value: bytes, own: list[tuple[str, bytes | None]]
) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": world.broker.bootstrap_servers})
    producer.produce(topic, partition=partition, key=key, value=value, headers=own)
    assert producer.flush(PATIENCE) == 0


def test_topics_may_come_later_and_are_read_from_their_beginning(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, topics=False)
    with consuming(world) as running:
        until("the log to say what is awaited", lambda: "waiting for a topic" in running.log.read_text())
        create_topics(world, 2)
        world.produce(orders(20))
        until("all from the beginning", lambda: handled(world) == 20)
        assert running.stop() == 0


def test_a_truncated_topic_stops_loudly_and_is_not_reset(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1)
    world.produce(orders(10))
    with consuming(world) as running:
        until("the first ten", lambda: handled(world) == 10)
        assert running.stop() == 0
    world.produce(orders(10))
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.source, 0, 15)]).values():
        future.result(timeout=PATIENCE)
    before = len(world.effects("begin"))
    with consuming(world) as running:
        until("the error", lambda: "no longer exists" in running.log.read_text())
        until("not ready", lambda: running.get("/readyz")[0] == 503)
        until("it is measured", lambda: running.metric("headrace_consumer_out_of_range_partitions") == 1)
        assert running.get("/healthz")[0] == 200
        assert running.stop() == 0
    assert len(world.effects("begin")) == before
    assert world.committed() == {0: 10}


def test_one_two_one_processes_keep_order_and_lose_nothing(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=4)
    work = orders(1500, keys=40, sleep=0.08)
    world.produce(work[:500])
    with ExitStack() as stack:
        first = stack.enter_context(consuming(world))
        until("a beginning", lambda: handled(world) > 200)
        second = stack.enter_context(consuming(world))
        until("an assignment of the second", lambda: second.get("/readyz")[0] == 200)
        world.produce(work[500:])
        until("both at work", lambda: len({effect["pid"] for effect in world.effects()}) == 2)
        done = handled(world)
        until("more by two", lambda: handled(world) >= min(done + 100, 1500))
        assert second.stop() == 0
        until("all", lambda: handled(world) == 1500)
        assert first.stop() == 0
    assert_all_in_order(world, orders(1500, keys=40))
    assert sum(world.committed().values()) == 1500


def test_asked_to_stop_it_finishes_what_runs(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, partitions=1)
    world.produce([(f"k{n}", {"n": n, "sleep": 4.0}) for n in range(30)])
    with consuming(world) as running:
        until("eight to run", lambda: len(world.effects("begin")) >= 8)
        assert running.stop() == 0
    begun, done = world.effects("begin"), world.effects()
    assert 8 <= len(begun) < 30
    assert len(done) == len(begun)
    assert world.committed() == {0: len(done)}


def test_asked_to_stop_it_does_not_wait_for_another_attempt(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    retry = {"attempts": 9, "initial": 100, "max": 100}
    world = make_world(kafka_broker, tmp_path, partitions=1, retry=retry)
    world.produce([("k1", {"n": 0}), ("k2", {"n": 1, "sleep": 2.0, "after": 100}), ("k3", {"n": 2})])
    with consuming(world) as running:
        until("all to begin", lambda: len(world.effects("begin")) == 3)
        assert running.stop() == 0
        assert "records still run" not in running.log.read_text()
    assert world.committed() == {0: 1}


TICKS = """
import os, threading, time
def tick():
    with open(os.environ["EFFECTS"] + "-ticks", "ab", 0) as file:
        while True:
            file.write(b".")
            time.sleep(0.1)
threading.Thread(target=tick, daemon=True).start()
"""
"""The process notes each tenth of a second that it lives through: none while it, or the machine, stands still."""


@pytest.mark.case("delivery-18")
@pytest.mark.case("clusters-7")
@pytest.mark.parametrize("stop", [pytest.param(30.0, marks=pytest.mark.sweep), 5.0])
def test_a_handler_longer_than_the_time_to_stop_is_cut_off_and_comes_again(
    kafka_broker: KafkaBroker, tmp_path: Path, stop: float
) -> None:
    """The process ends well within the pod's grace, what others finished is committed, and the record comes again."""
    world = make_world(kafka_broker, tmp_path, partitions=1, stop=stop)
    world.produce([("k1", {"n": 0}), ("k2", {"n": 1, "sleep": 3600})])
    ticks = tmp_path / "effects-ticks"
    with consuming(world, before=TICKS) as running:
        until("both to begin", lambda: len(world.effects("begin")) == 2)
        asked, before = time.monotonic(), ticks.stat().st_size
        running.process.terminate()
        assert running.process.wait(timeout=PATIENCE) == 0
        assert stop - 1 < time.monotonic() - asked
        assert (ticks.stat().st_size - before) / 10 < stop + SPARE
        assert "records still run" in running.log.read_text()
    assert world.committed() == {0: 1}
    with consuming(world):
        until("the long one again", lambda: len(world.effects("begin")) == 3)
    assert world.effects("begin")[2]["position"] == [world.source, 0, 1]


def test_tombstones_and_records_without_a_key(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    world.produce([("k", None), (None, {"n": 1}), (None, {"n": 2}), (None, None)])
    with consuming(world) as running:
        until("four effects", lambda: len(world.effects()) == 4)
        assert running.stop() == 0
    assert sum(world.committed().values()) == 4


def test_a_broken_handler_says_what_is_wrong_and_ends(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    (tmp_path / "code" / "effects_handler.py").write_text("import no_such_module\n")
    with consuming(world) as running:
        assert running.process.wait(timeout=PATIENCE) == 1
        said = running.log.read_text()
    assert "level=error" in said
    assert "effects_handler" in said
    assert "no_such_module" in said
    assert "Traceback" not in said


class Billing(BaseHTTPRequestHandler):
    """A target that answers 503 to the first attempt at every third order and 422 to every tenth."""

    effects: ClassVar[list[dict[str, Any]]] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self._status(order["n"])
        if status == 204:
            self.effects.append({"key": self.headers["ce-subject"], "value": json.dumps(order)})
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def _status(self, number: int) -> int:
        if number % 10 == 0:
            return 422
        return 503 if number % 3 == 0 and self.headers["headrace-attempt"] == "1" else 204

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_records_are_pushed_over_http(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path)
    world.produce(orders(100))
    with ThreadingHTTPServer(("127.0.0.1", 0), Billing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/events"
        config = world.config.model_copy(update={"handler": contract.Handler(http=contract.Http(url=url))})
        with consuming(world, config) as running:
            letters = world.dead_letters(10)
            until("90 effects", lambda: len(Billing.effects) == 90)
            assert running.stop() == 0
        server.shutdown()
    found: dict[str, list[int]] = defaultdict(list)
    for effect in Billing.effects:
        found[effect["key"]].append(json.loads(effect["value"])["n"])
    assert all(each == sorted(each) for each in found.values())
    assert {headers.decode(letter.headers()).status for letter in letters} == {422}
    assert sum(world.committed().values()) == 100


class Closing(BaseHTTPRequestHandler):
    """A target that closes each connection after its first answer, and does not say so."""

    keys: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.keys.append(self.headers["ce-subject"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.case("delivery-17")
def test_a_target_that_closes_idle_connections_costs_no_attempt(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """1,000 keys with one attempt each: 1,000 handled, and a redrive would find nothing."""
    world = make_world(kafka_broker, tmp_path, retry={"attempts": 1})
    world.produce(orders(1000, keys=1000))
    with ThreadingHTTPServer(("127.0.0.1", 0), Closing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/events"
        config = world.config.model_copy(update={"handler": contract.Handler(http=contract.Http(url=url))})
        with consuming(world, config) as running:
            until("1,000 finished", lambda: sum(world.committed().values()) == 1000)
            assert running.metric("headrace_consumer_attempts_total", outcome="ok") == 1000
            assert running.metric("headrace_consumer_attempts_total", outcome="retry") == 0
            assert running.metric("headrace_consumer_dead_letters_total") == 0
            assert running.stop() == 0
        server.shutdown()
    assert len(set(Closing.keys)) == len(Closing.keys) == 1000


def test_a_missing_dead_letter_topic_holds_the_record(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    world = make_world(kafka_broker, tmp_path, topics=False)
    kafka_broker.create_topic(world.source, 1)
    kafka_broker.create_topic(world.config.topics.retry, 1)
    world.produce([("k", {"n": 0, "reject": True})])
    with consuming(world) as running:
        until("the failure to be told", lambda: "is not written" in running.log.read_text())
        assert not any(world.committed().values())
        kafka_broker.create_topic(world.config.topics.dead_letters, 1)
        assert read_topic(kafka_broker, world.config.topics.dead_letters, 1)
        until("the commit", lambda: world.committed() == {0: 1})
        assert running.stop() == 0
