"""A `headrace run` process over a real broker, with a handler that writes what it did into a file, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    Message,
    Producer,
    TopicPartition,
)
from prometheus_client.parser import text_string_to_metric_families

from headrace import config as contract
from headrace import names
from headrace.flow import offset_map
from headrace.flow.offset_map import OffsetMap
from headrace.kafka.topics import Reader
from headrace.progress import Progress, decode
from tests import lines
from tests.cluster.fast import END_WITH_PARENT
from tests.kafka_broker import BACK_SOON, KafkaBroker
from tests.kafka_client import answered, write_commits
from tests.ports import free_port
from tests.probes import asked, stopped
from tests.runtime.history import Effect
from tests.waiting import PATIENCE

HANDLER = """
import json, os, time
import headrace

OUT = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note(what, record):
    key = None if record.key is None else record.key.decode()
    line = {"what": what, "key": key, "value": record.text(), "attempt": record.attempt, "pid": os.getpid(),
            "at": time.time(), "position": list(record.source), "redriven": record.redriven, "topic": record.topic}
    os.write(OUT, (json.dumps(line) + "\\n").encode())

def handle(record):
    note("begin", record)
    wish = json.loads(record.value) if record.value else {}
    time.sleep(wish.get("sleep", 0))
    if wish.get("poison") and not record.redriven:
        raise RuntimeError("poisoned")
    if wish.get("reject"):
        raise headrace.Reject("not wanted")
    if wish.get("after"):
        raise headrace.Retry("closed", after=wish["after"])
    if record.attempt <= wish.get("fail", 0) or not os.path.exists(wish.get("until", "/")):
        raise RuntimeError("not yet")
    note("done", record)
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """One Consumer's topics on a broker and the folder its processes write to."""

    broker: KafkaBroker
    config: contract.Config
    folder: Path

    @property
    def source(self) -> str:
        """The one source topic."""
        return self.config.topics.sources[0]

    def produce(self, values: Sequence[tuple[str | None, object]], **more: object) -> None:
        """Write records of key and value (made JSON; None is a tombstone), and wait until Kafka has them."""
        settings = {"enable.idempotence": "true", "message.max.bytes": "10000000"}
        producer = Producer({"bootstrap.servers": self.broker.bootstrap_servers, **settings})
        for key, value in values:
            text = None if value is None else json.dumps(value).encode()
            producer.produce(self.source, key=key, value=text, **more)
        assert producer.flush(PATIENCE) == 0

    def effects(self, what: str = "done") -> list[dict[str, object]]:
        """Return what handlers noted so far, in order."""
        return [effect for effect in self._noted.events() if effect["what"] == what]

    def taken(self) -> list[Effect]:
        """Return the effects of records whose value has a number ``n``, as the validator of histories has them."""
        return [taken(effect) for effect in self.effects()]

    @cached_property
    def _noted(self) -> lines.Growing:
        return lines.Growing(self.folder / "effects")

    @cached_property
    def _group(self) -> Consumer:
        """One client for all that is asked of the group, of which it is no member."""
        servers = {"bootstrap.servers": self.broker.bootstrap_servers, **BACK_SOON}
        return Consumer({**servers, "group.id": self.config.group})

    @cached_property
    def reader(self) -> Reader:
        """One client for all that is read again and again of the Consumer's topics."""
        return Reader({"bootstrap.servers": self.broker.bootstrap_servers, **BACK_SOON})

    def committed(self, topic: str = "") -> dict[int, int]:
        """Return the committed offset of each partition of ``topic`` (else the source) that has one."""
        topic = topic or self.source
        known = answered(lambda: self._group.list_topics(topic, timeout=PATIENCE)).topics[topic]
        found = committed_offsets(self._group, [TopicPartition(topic, number) for number in known.partitions])
        return {one.partition: one.offset for one in found if one.offset >= 0}

    def told(self, number: int = 0) -> Progress:
        """Return what the commit of a partition of the source says of the records beyond."""
        (found,) = committed_offsets(self._group, [TopicPartition(self.source, number)])
        return decode(found.metadata) or Progress()

    def map(self, number: int = 0) -> OffsetMap | None:
        """Return the offset map in the commit of a partition of the source."""
        return offset_map.decode(self.told(number).map)

    def lag(self) -> int:
        """Return the offsets between what is committed and the ends, as any monitor would count them."""
        return sum(
            self.end(topic, number) - offset
            for topic in (self.source, self.config.topics.retry)
            for number, offset in self.committed(topic).items()
        )

    def end(self, topic: str, number: int) -> int:
        """Return the end of a partition: the offset of the next record."""
        at = TopicPartition(topic, number)
        return int(answered(lambda: self._group.get_watermark_offsets(at, timeout=PATIENCE))[1])

    def dead_letters(self, count: int, timeout: float = PATIENCE) -> list[Message]:
        """Wait for that many dead letters and return them."""
        return read_topic(self.broker, self.config.topics.dead_letters, count, timeout)


def taken(effect: Mapping[str, object]) -> Effect:
    """Return what a handler noted of a record that it had done."""
    number = json.loads(str(effect["value"]))["n"]
    return Effect(str(effect["key"]), number, str(effect["pid"]), float(str(effect["at"])))


def committed_offsets(client: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
    """Return what the group of ``client`` has committed."""
    return answered(lambda: list(client.committed(asked, timeout=PATIENCE)))


def write_commit(world: World, offset: int, **more: Any) -> None:
    """Commit an offset of partition 0 of the source in the name of the group, which has no members now."""
    place = TopicPartition(world.source, 0, offset, **more)
    write_commits({"bootstrap.servers": world.broker.bootstrap_servers}, world.config.group, [place])


def read_topic(broker: KafkaBroker, topic: str, count: int, timeout: float = PATIENCE) -> list[Message]:
    """Return the first ``count`` records of ``topic``; fails when they do not come.

    It reads as no member of a group, which might be given the partitions anew, and so the same records.
    """
    settings = {"group.id": "read", "enable.auto.commit": "false"}
    client = Consumer({"bootstrap.servers": broker.bootstrap_servers, **settings})
    deadline = time.monotonic() + timeout
    while not (places := _beginnings(client, topic)) and time.monotonic() < deadline:
        time.sleep(0.2)
    client.assign(places)
    found: list[Message] = []
    while len(found) < count and time.monotonic() < deadline:
        message = client.poll(0.2)
        if message is not None and message.error() is None:
            found.append(message)
    client.close()
    assert len(found) == count, f"{len(found)} of {count} records in {topic}"
    return found


def _beginnings(client: Consumer, topic: str) -> list[TopicPartition]:
    """Return where the partitions of a topic begin; none while it is not made."""
    known = answered(lambda: client.list_topics(topic, timeout=PATIENCE)).topics[topic]
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in known.partitions]


def make_world(
    broker: KafkaBroker,
    folder: Path,
    *,
    partitions: int = 2,
    topics: bool = True,
    protocol: contract.GroupProtocol = "classic",
    stop: float = 30.0,
    **delivery: object,
) -> World:
    """Make a Consumer of a fresh name with its topics; ``stop`` and ``delivery`` go into the contract."""
    name = f"c{uuid.uuid4().hex[:8]}"
    source = f"shop.{name}.outbox.order"
    own = contract.Topics(
        sources=(source,),
        retry=names.retry_topic("shop", name),
        dead_letters=names.dead_letter_topic("shop", name),
        resolutions=names.resolutions_topic("shop", name),
    )
    (folder / "code").mkdir()
    (folder / "code" / "effects_handler.py").write_text(HANDLER)
    config = contract.Config(
        namespace="shop",
        consumer=name,
        pipeline="orders",
        group=names.group("shop", name),
        group_protocol=protocol,
        kafka=contract.Kafka(bootstrap_servers=broker.bootstrap_servers),
        topics=own,
        handler=contract.Handler(python=contract.Python(function="effects_handler:handle", path=str(folder / "code"))),
        delivery=contract.Delivery.model_validate(
            {"retry": {"attempts": 4, "initial": 0.05, "factor": 2, "max": 1}, **delivery}
        ),
        stop=stop,
    )
    world = World(broker=broker, config=config, folder=folder)
    if topics:
        create_topics(world, partitions)
    return world


def create_topics(world: World, partitions: int) -> None:
    """Make the Consumer's topics as the operator would."""
    for topic in (world.source, world.config.topics.retry, world.config.topics.dead_letters):
        world.broker.create_topic(topic, partitions)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    pod: str

    @property
    def said(self) -> str:
        """Return the lines of its log that are whole."""
        return "\n".join(lines.written(self.log))

    def get(self, path: str, timeout: float = PATIENCE) -> tuple[int, str]:
        """Return status and text of its HTTP answer; (0, why) when there is none."""
        return asked(self.port, path, timeout)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels; fails without any, or an answer."""
        status, text = self.get("/metrics")
        assert status == 200, text
        families = text_string_to_metric_families(text)
        samples = [one for family in families for one in family.samples if one.name == name]
        found = [one.value for one in samples if labels.items() <= one.labels.items()]
        assert found, f"{name}{labels} in {samples}"
        return sum(found)

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        return stopped(self.process, self.port)


def patient(world: World) -> contract.Config:
    """The contract with a handler that may take an hour for a record."""
    python = world.config.handler.python
    assert python is not None
    handler = contract.Handler(python=python.model_copy(update={"timeout": 3600}))
    return world.config.model_copy(update={"handler": handler})


def counted(running: Running, name: str, **labels: str) -> float:
    """Return the metric of this name, the sum of those with these labels; 0 while the process does not serve yet."""
    return running.metric(f"headrace_consumer_{name}", **labels) if running.get("/healthz")[0] else 0.0


@contextmanager
def consuming(
    world: World, config: contract.Config | None = None, before: str = "", within: Sequence[str] = ()
) -> Iterator[Running]:
    """Run one process of the Consumer; it is killed at the end if it still runs.

    ``before`` is code it runs first, ``within`` the words of a program that starts it.
    """
    number = uuid.uuid4().hex[:6]
    file, log = world.folder / f"config-{number}.json", world.folder / f"log-{number}"
    file.write_text(contract.dump(config or world.config))
    port = free_port()
    pod = f"{world.config.consumer}-{number}"
    settings = {"HEADRACE_CONFIG": str(file), "HEADRACE_PORT": str(port), "EFFECTS": str(world.folder / "effects")}
    python = [sys.executable, "-c", f"{before}\nfrom headrace.cli import app; app()", "run"]
    words = [*END_WITH_PARENT, *within, *python]
    with log.open("wb") as out:
        process = subprocess.Popen(words, env={**os.environ, **settings, "HOSTNAME": pod}, stdout=out, stderr=out)
    try:
        yield Running(process=process, port=port, log=log, pod=pod)
    finally:
        process.kill()
        process.wait(PATIENCE)
