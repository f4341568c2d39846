"""A load of keyed records through real consumer processes, with faults at hand, and the history of what became of it.

The target is a web service of the test's own, which notes who gave it what; each process has a path of its own there.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from headrace import config as contract
from headrace.kafka.membership import SESSION
from headrace.kafka.topics import Reader
from headrace.letters import reading
from tests.kafka_broker import KafkaBroker
from tests.runtime.consumer_process import Running, World, consuming, read_topic
from tests.runtime.history import History, Letter, Told
from tests.runtime.http_target import Target
from tests.waiting import PATIENCE, until

KEYS = 200
POISONED = {"poison-0", "poison-1", "poison-2"}
"""Keys whose records the target answers with 500, each time: fewer than make it look away."""

REJECTED = {"unwanted-0", "unwanted-1"}

LOST = re.compile(r'ts=(\S+) .*msg="lost ')
"""Said by a process which stood still for so long that the group took its partitions away."""

SAID = re.compile(r'msg="(?:(the target fails)|(the target answers again)|dead-lettered \(([a-z-]+)\))')


@dataclass
class Load:
    """Records that come at a steady ``rate`` a second, processes by their names, and what was done to them."""

    world: World
    target: Target
    port: int
    rate: int
    before: str = ""
    produced: dict[int, str] = field(default_factory=dict)
    processes: dict[str, Running] = field(default_factory=dict)
    killed: dict[str, float] = field(default_factory=dict)
    outages: list[tuple[float, float]] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Produce until the end of the ``with``; each key's records in order, also while Kafka is away."""
        stop = threading.Event()
        thread = threading.Thread(target=self._produce, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _produce(self, stop: threading.Event) -> None:
        settings = {"enable.idempotence": "true", "message.timeout.ms": str(int(PATIENCE * 1000))}
        producer = Producer({"bootstrap.servers": self.world.broker.bootstrap_servers, **settings})
        draw, begin, before = random.Random(7), time.monotonic(), len(self.produced)
        while not stop.wait(0.05):
            while len(self.produced) - before < self.rate * (time.monotonic() - begin):
                number, key = len(self.produced), _key(draw)
                producer.produce(self.world.source, str(number), key=key)
                self.produced[number] = key
            producer.poll(0)
        assert producer.flush(PATIENCE) == 0

    def start(self, name: str) -> Running:
        """Start a process."""
        url = f"http://127.0.0.1:{self.port}/{name}"
        handler = contract.Handler(http=contract.Http(url=url, timeout=20))
        config = self.world.config.model_copy(update={"handler": handler})
        self.processes[name] = self._stack.enter_context(consuming(self.world, config, self.before))
        return self.processes[name]

    def kill(self, name: str) -> None:
        """End a process with SIGKILL, amid its work."""
        self.killed[name] = time.time()
        self.processes[name].process.kill()
        self.processes[name].process.wait(PATIENCE)

    def restart_kafka(self) -> None:
        """Have Kafka away for as long as its broker takes to start anew."""
        since = time.time()
        self.world.broker.restart()
        self.outages.append((since, time.time()))

    def works(self, *names: str) -> None:
        """Wait until each of these processes has done more than by now."""
        before = {name: self._done(name) for name in names}
        until(f"work of {names}", lambda: all(self._done(name) > before[name] + 20 for name in names))

    def _done(self, name: str) -> int:
        return sum(effect.process == name for effect in list(self.target.taken))

    def settle(self) -> None:
        """Wait until each record has come to an end and is committed, and stop what runs.

        How much was produced by then hangs on how long all else took: it is waited for as long as it becomes less.
        """
        while not self.is_all_committed():
            until("more to be committed", partial(self._has_more_than, self._committed()))
        until("each record's end", lambda: len(self._ended()) >= len(self.produced))
        for name, running in self.processes.items():
            if name not in self.killed and running.process.poll() is None:
                assert running.stop() == 0, running.log.read_text()[-3000:]

    def is_all_committed(self) -> bool:
        """Whether all that was produced is committed."""
        return self._committed() == len(self.produced)

    def _committed(self) -> int:
        return sum(self.world.committed().values())

    def _has_more_than(self, before: int) -> bool:
        return self._committed() > before

    def _ended(self) -> set[int]:
        return {effect.number for effect in self.target.taken} | {_number(one) for one in self.letters()}

    def close(self) -> None:
        """End whatever runs."""
        self._stack.close()

    def letters(self) -> list[Message]:
        """Return the dead letters."""
        topic = self.world.config.topics.dead_letters
        client = Consumer({"bootstrap.servers": self.world.broker.bootstrap_servers, "group.id": "ends"})
        try:
            numbers = client.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
            places = [TopicPartition(topic, number) for number in numbers]
            count = sum(client.get_watermark_offsets(place, timeout=PATIENCE)[1] for place in places)
        finally:
            client.close()
        return read_topic(self.world.broker, topic, count)

    def discard(self, letter: Message) -> None:
        """Discard a dead letter by hand, as the users' guide says."""
        topics = self.world.config.topics
        with Reader({"bootstrap.servers": self.world.broker.bootstrap_servers}) as reader:
            found = reading.find(reader, topics, reading.Place(letter.partition() or 0, letter.offset() or 0))
        assert found is not None
        producer = Producer({"bootstrap.servers": self.world.broker.bootstrap_servers})
        producer.produce(topics.resolutions, b"{}", key=found.resolution_key)
        assert producer.flush(PATIENCE) == 0

    def history(self) -> History:
        """Return what was recorded, on all sides."""
        letters = self.letters()
        with Reader({"bootstrap.servers": self.world.broker.bootstrap_servers}) as reader:
            left = {one.name for one in reading.outstanding(reader, self.world.config.topics)}
        gone = {_number(one) for one in letters if f"{one.partition()}/{one.offset()}" not in left}
        return History(
            produced=self.produced,
            effects=self.target.taken,
            letters=[Letter(_number(one), _reason(one)) for one in letters],
            discarded=frozenset(gone),
            killed=self.killed,
            outages=[*self.outages, *(one for running in self.processes.values() for one in _lost(running))],
            told={name: _told(running) for name, running in self.processes.items()},
        )

    def is_open(self, name: str) -> bool:
        """Whether a process has last said that the target fails."""
        said = [one.what for one in _told(self.processes[name]) if one.what != "letter"]
        return bool(said) and said[-1] == "open"


@contextmanager
def loaded(load: Load) -> Iterator[Load]:
    """Give a load whose processes end with it."""
    load.target.refuses, load.target.rejects = set(POISONED), set(REJECTED)
    try:
        yield load
    finally:
        load.close()


def make_topics(broker: KafkaBroker, world: World) -> None:
    """Make the topic that `headrace dlq` reads beside the dead letters."""
    broker.create_topic(world.config.topics.resolutions, 1, {"cleanup.policy": "compact"})


def _key(draw: random.Random) -> str:
    chance = draw.random()
    if chance < 0.01:
        return draw.choice(sorted(POISONED))
    return draw.choice(sorted(REJECTED)) if chance < 0.02 else f"k{draw.randrange(KEYS)}"


def _told(running: Running) -> list[Told]:
    found = SAID.finditer(running.said)
    return [Told("open") if one[1] else Told("closed") if one[2] else Told("letter", one[3]) for one in found]


def _lost(running: Running) -> Iterator[tuple[float, float]]:
    """Yield the times in which a process could commit nothing, as it stood still and the group went on without it."""
    for said in LOST.finditer(running.said):
        until = datetime.fromisoformat(said[1]).timestamp()
        yield until - int(SESSION["session.timeout.ms"]) / 1000, until


def _number(letter: Message) -> int:
    value = letter.value()
    assert value is not None
    return int(value)


def _reason(letter: Message) -> str:
    found = dict(letter.headers() or ())["headrace.reason"]
    return found.decode() if isinstance(found, bytes) else str(found)
