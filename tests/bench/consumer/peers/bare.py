"""The client library alone: ``consume(1000)``, or ``poll()`` where each record's delay counts; ``busy``: with work."""

from __future__ import annotations

import os
import sys

from confluent_kafka import Consumer

from tests.bench.consumer.meter import Meter, SharedMeter
from tests.bench.consumer.work import spin


def consumer() -> Consumer:
    """Return a client with the library's own settings, which reads the run's topic from its beginning."""
    client = Consumer(
        {
            "bootstrap.servers": os.environ["BENCH_BOOTSTRAP"],
            "group.id": os.environ["BENCH_GROUP"],
            "auto.offset.reset": "earliest",
        }
    )
    client.subscribe([os.environ["BENCH_TOPIC"]])
    return client


def noop() -> None:
    """Take as many as there are."""
    client, meter = consumer(), Meter()
    while True:
        for message in client.consume(1000, 0.1):
            message.key()
            meter.note(message.value())


def delayed() -> None:
    """Take each as it comes."""
    client, meter = consumer(), Meter()
    while True:
        message = client.poll(0.1)
        if message is not None:
            meter.note_delay(message.value())


def busy() -> None:
    """Work on each; several of these share a group."""
    client, meter = consumer(), SharedMeter()
    while True:
        message = client.poll(0.1)
        if message is not None:
            meter.note(message.value())
            spin()
            meter.note(message.value())


if __name__ == "__main__":
    {"noop": noop, "delayed": delayed, "busy": busy}[sys.argv[1]]()
