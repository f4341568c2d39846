"""The command that makes good for a dead letter, on a real broker: to a topic, to a web service, and when it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from confluent_kafka import Message, Producer

from headrace import headers
from headrace.cli import answers
from headrace.config import Compensate, Config, Http, OnDeadLetter
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.runtime.cli.test_round_trip_kafka import ask
from tests.runtime.consumer_process import World, consuming, make_world, read_topic
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NO_COMMAND = "from headrace.letters.parking import Parked; Parked.serve = lambda self: None"
"""Code that a process runs first: what it is to write to the retry topic never gets there."""


def compensating(broker: KafkaBroker, folder: Path, **delivery: object) -> tuple[World, str]:
    """Make a Consumer whose commands go to a topic; return it and the topic."""
    topic = f"undo.{folder.name[:80]}"
    wish = {"on_dead_letter": {"compensate": {"topic": topic}}, **delivery}
    world = make_world(broker, folder, partitions=1, **wish)  # type: ignore[arg-type]
    broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})
    return world, topic


def said(message: Message) -> dict[str, bytes]:
    return {name: value for name, value in message.headers() or () if isinstance(value, bytes)}


def pushing(world: World, url: str) -> Config:
    """The contract of a Consumer whose commands go to a web service."""
    wish = OnDeadLetter(compensate=Compensate(http=Http(url=url, timeout=30)))
    delivery = world.config.delivery.model_copy(update={"on_dead_letter": wish})
    return world.config.model_copy(update={"delivery": delivery})


def patient(config: Config) -> Config:
    """The contract with an hour between attempts, so that what fails first is left to the next process."""
    retry = config.delivery.retry.model_copy(update={"initial": 3600.0, "max": 3600.0})
    return config.model_copy(update={"delivery": config.delivery.model_copy(update={"retry": retry})})


class Service:
    """A web service that notes the headers and the body of what it took, and refuses the first ``refuses`` with 500."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.status = 500
        self.taken: list[tuple[dict[str, str], bytes]] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on a port of loopback until the end of the ``with``; give the address."""
        server = ThreadingHTTPServer(("127.0.0.1", free_port()), self._handler())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/undo"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                refused, service.refuses = service.refuses > 0, service.refuses - 1
                if not refused:
                    service.taken.append((dict(self.headers.items()), body))
                self.send_response(service.status if refused else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def test_a_topic_receives_the_record_with_its_reason(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Once, whatever is remembered of its message, which the redrive handles; later records of its key went on."""
    world, topic = compensating(kafka_broker, tmp_path, deduplication={"memory": {}})
    kafka_broker.create_topic(topic, 3)
    world.produce([("a", {"n": 0, "poison": True})], headers=[("id", b"m")])
    world.produce([("a", {"n": 1})])
    with consuming(world) as running:
        (command,) = read_topic(kafka_broker, topic, 1)
        (letter,) = world.dead_letters(1)
        until("no lag", lambda: world.lag() == 0)
        assert ask(world, "redrive")[-1] == answers.Done(count=1)
        until("its effect", lambda: len(world.effects()) == 2 and world.lag() == 0)
        assert running.stop() == 0
    assert (command.key(), command.value()) == (letter.key(), letter.value())
    told = said(command)
    assert told["headrace.command"] == b"compensate"
    assert told["headrace.command-reason"] == told["headrace.reason"] == b"max-attempts"
    assert b"poisoned" in told["headrace.command-error"]
    assert told["id"] == b"m"
    assert headers.decode(command.headers() or ()).origin == headers.decode(letter.headers() or ()).origin
    assert [json.loads(str(one["value"]))["n"] for one in world.effects()] == [1, 0]
    with pytest.raises(AssertionError):
        read_topic(kafka_broker, topic, 2, timeout=2)


def test_a_kill_between_letter_and_command_loses_neither(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Nothing is committed over the record until both are safe."""
    world, topic = compensating(kafka_broker, tmp_path)
    kafka_broker.create_topic(topic, 1)
    world.produce([("a", {"n": 0, "reject": True}), ("b", {"n": 1})])
    with consuming(world, before=NO_COMMAND) as running:
        world.dead_letters(1)
        until("the other", lambda: len(world.effects()) == 1)
        running.process.kill()
    assert world.committed().get(0, 0) == 0
    with consuming(world) as running:
        (command,) = read_topic(kafka_broker, topic, 1)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert command.key() == b"a"


def test_a_topic_that_does_not_take_it_makes_a_dead_letter(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Which says so, and sends the command, not the record, when it is put back."""
    world, topic = compensating(kafka_broker, tmp_path)
    kafka_broker.create_topic(topic, 1, {"max.message.bytes": "2000"})
    pad = "".join(map(str, range(100_000)))
    world.produce([("a", {"n": 0, "reject": True, "pad": pad})])
    with consuming(world) as running:
        first, second = world.dead_letters(2)
        until("no lag", lambda: world.lag() == 0)
        begun = len(world.effects("begin"))
        kafka_broker.alter(topic, "max.message.bytes", "2000000")
        assert ask(world, "redrive", f"--offset=0/{second.offset()}")[-1] == answers.Done(count=1)
        (command,) = read_topic(kafka_broker, topic, 1)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert said(first)["headrace.reason"] == b"non-retriable"
    assert said(second)["headrace.reason"] == b"compensation-failed"
    assert topic.encode() in said(second)["__dlq.errors.message"]
    assert said(command)["headrace.command-reason"] == b"non-retriable"
    assert command.value() == first.value()
    assert len(world.effects("begin")) == begun == 1


def test_a_partition_that_stands_has_sent_its_command(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Both, whatever is killed between letter and command; what is put back and fails again sends another one."""
    wish = {"action": "Stop", "compensate": {"topic": f"undo.{tmp_path.name[:80]}"}}
    world, topic = compensating(kafka_broker, tmp_path, on_dead_letter=wish, order="Partition")
    kafka_broker.create_topic(topic, 1)
    world.produce([("a", {"n": 0, "reject": True}), ("b", {"n": 1})])
    with consuming(world, before=NO_COMMAND) as running:
        world.dead_letters(1)
        running.process.kill()
    with consuming(world) as running:
        world.dead_letters(2)
        read_topic(kafka_broker, topic, 1)
        until("what is told", lambda: (stop := world.told().stopped) is not None and stop.letter == 1)
        assert world.effects() == []
        assert ask(world, "redrive", "--offset=0/1")[-1] == answers.Done(count=1)
        (*_, letter) = world.dead_letters(3)
        assert len(read_topic(kafka_broker, topic, 2)) == 2
        until("what is told", lambda: (stop := world.told().stopped) is not None and stop.letter == 2)
        assert world.effects() == []
        (shown, _) = ask(world, "dlq-show", f"0/{letter.offset()}")
        assert isinstance(shown, answers.Found)
        producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
        producer.produce(
            world.config.topics.resolutions, key=shown.opened.resolution_key, value=b'{"action":"discarded"}'
        )
        assert producer.flush(PATIENCE) == 0
        until("the rest", lambda: len(world.effects()) == 1)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0


def test_a_web_service_receives_it_after_it_failed(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Each attempt counts, and the handler's target is not thought to be away."""
    world, service = make_world(kafka_broker, tmp_path, partitions=1), Service(refuses=2)
    with service.serving() as url, consuming(world, pushing(world, url)) as running:
        world.produce([("a", {"n": 0, "reject": True})], headers=[("id", b"m")])
        world.produce([("a", {"n": 1})])
        until("the command", lambda: len(service.taken) == 1)
        until("no lag", lambda: world.lag() == 0)
        assert running.metric("headrace_consumer_circuit_open") == 0
        assert running.stop() == 0
    ((told, body),) = service.taken
    assert json.loads(body)["n"] == 0
    assert told["headrace-command"] == "compensate"
    assert told["headrace-reason"] == "non-retriable"
    assert "not%20wanted" in told["headrace-error"]
    assert told["idempotency-key"] == told["ce-id"] == "m:compensate"
    assert told["headrace-attempt"] == "3"
    assert len(world.dead_letters(1)) == 1
    assert [json.loads(str(one["value"]))["n"] for one in world.effects()] == [1]


def test_a_web_service_that_refuses_for_good_makes_a_dead_letter(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Also through a kill and a restart meanwhile; the key of its record is not held up."""
    world, service = make_world(kafka_broker, tmp_path, partitions=1), Service(refuses=100)
    with service.serving() as url:
        config = pushing(world, url)
        with consuming(world, patient(config)) as running:
            world.produce([("a", {"n": 0, "reject": True}), ("a", {"n": 1})])
            until("the first attempt", lambda: service.refuses < 100)
            until("the other", lambda: world.committed().get(0) == 2)
            running.process.kill()
        with consuming(world, config) as running:
            _, second = world.dead_letters(2)
            until("no lag", lambda: world.lag() == 0)
            assert running.stop() == 0
    assert said(second)["headrace.reason"] == b"compensation-failed"
    assert said(second)["headrace.command-reason"] == b"non-retriable"
    assert b"HTTP 500" in said(second)["__dlq.errors.message"]
    assert service.taken == []
    assert len(world.effects()) == 1


def test_a_command_for_nobody_makes_a_dead_letter(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """It is not handed to the handler as the record that it is about."""
    world, service = make_world(kafka_broker, tmp_path, partitions=1), Service(refuses=100)
    with service.serving() as url, consuming(world, patient(pushing(world, url))) as running:
        world.produce([("a", {"n": 0, "reject": True})])
        until("the first attempt", lambda: service.refuses < 100)
        until("its commit", lambda: world.committed().get(0) == 1)
        running.process.kill()
    with consuming(world) as running:
        _, second = world.dead_letters(2)
        until("no lag", lambda: world.lag() == 0)
        assert running.stop() == 0
    assert said(second)["headrace.reason"] == b"compensation-failed"
    assert len(world.effects("begin")) == 1
