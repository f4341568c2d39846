"""Quix Streams: ``apply`` on each record, without keys, order or retries."""

from __future__ import annotations

import os
import tempfile

from quixstreams import Application

from tests.bench.consumer.meter import Meter

METER = Meter()


def handle(value: bytes) -> bytes:
    """Do nothing."""
    METER.note(value)
    return value


if __name__ == "__main__":
    application = Application(
        broker_address=os.environ["BENCH_BOOTSTRAP"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        loglevel="WARNING",
        state_dir=tempfile.mkdtemp(),
    )
    topic = application.topic(os.environ["BENCH_TOPIC"], value_deserializer="bytes", key_deserializer="bytes")
    application.dataframe(topic).apply(handle)
    application.run()
