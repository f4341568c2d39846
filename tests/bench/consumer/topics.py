"""What the measured topics hold: records whose index says their key, so that a log of indices tells all."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Producer

from tests.bench.consumer.meter import INDEX
from tests.kafka_broker import KafkaBroker

PARTITIONS, SIZE = 6, 200
IN_ORDER = {"enable.idempotence": "true"}
"""Else a request that is tried again would come after the next one."""


def keys(records: int, each: int) -> Iterator[int]:
    """Return the key of each record: all ``each`` keys in a random order, then all in another, and so on."""
    dice = random.Random(0)
    left: list[int] = []
    for _ in range(records):
        if not left:
            left = list(range(each))
            dice.shuffle(left)
        yield left.pop()


def fill(broker: KafkaBroker, name: str, records: int, each: int) -> None:
    """Make a topic of so many records with so many keys."""
    broker.create_topic(name, PARTITIONS)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, **IN_ORDER, "linger.ms": 50})
    for index, key in enumerate(keys(records, each)):
        _produce(producer, name, b"%07d" % key, (b"%08d" % index).ljust(SIZE))
    if producer.flush(300):
        raise RuntimeError(f"{name} could not be filled")


def trickle(broker: KafkaBroker, name: str, records: int, each: int, rate: float) -> None:
    """Write so many records at ``rate`` a second, each of which tells when it was sent."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, **IN_ORDER, "linger.ms": 0})
    begun = time.monotonic()
    for index, key in enumerate(keys(records, each)):
        time.sleep(max(0.0, begun + index / rate - time.monotonic()))
        _produce(producer, name, b"%07d" % key, (b"%08d%020d" % (index, time.monotonic_ns())).ljust(SIZE))
    producer.flush(300)


def _produce(producer: Producer, name: str, key: bytes, value: bytes) -> None:
    try:
        producer.produce(name, value, key)
    except BufferError:
        producer.poll(1)
        producer.produce(name, value, key)
    producer.poll(0)


def indices(log: bytes) -> list[int]:
    """Return what a meter's log says."""
    return [int(log[at : at + INDEX]) for at in range(0, len(log), INDEX)]


def disorder(events: Iterable[int], events_each: int, own: list[int]) -> int:
    """Return how many records began while one before of their key was not done; ``own`` is the key of each record.

    With two events of each record, the first is its begin and the second its end; with one it is both.
    """
    begun: set[int] = set()
    before: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, key in enumerate(own):
        before[index], last[key] = last.get(key, -1), index
    done, wrong = {-1}, 0
    for index in events:
        if index not in begun:
            begun.add(index)
            wrong += before[index] not in done
            if events_each == 2:
                continue
        done.add(index)
    return wrong
