"""Writes records that Python's client refuses to write: header names of any bytes. It speaks to librdkafka itself."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka

from tests.waiting import PATIENCE

PRODUCER = 0
COPY = 2
END, TOPIC, PARTITION, VALUE, KEY, FLAGS, TIMESTAMP, HEADERS = 0, 1, 3, 4, 5, 7, 8, 10
"""How ``rd_kafka_producev`` tells its arguments apart (``rd_kafka_vtype_t``)."""

RawHeaders = Sequence[tuple[bytes, bytes | None]]


class RawProducer:
    """A producer of librdkafka."""

    def __init__(self, library: Any, handle: int) -> None:
        self._library = library
        self._handle = ctypes.c_void_p(handle)

    def produce(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: RawHeaders) -> None:
        """Write one record and wait until Kafka has it."""
        self.send(topic, partition, key, value, headers)
        self.flush()

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: RawHeaders,
        timestamp: int = 0,
    ) -> None:
        """Begin to write one record, in order; ``timestamp`` in milliseconds since 1970, 0 is now."""
        made = ctypes.c_void_p(self._library.rd_kafka_headers_new(ctypes.c_size_t(8)))
        for name, content in headers:
            size = ctypes.c_ssize_t(len(content or b""))
            assert not self._library.rd_kafka_header_add(made, name, ctypes.c_ssize_t(len(name)), content, size)
        words = (
            *(ctypes.c_int(TOPIC), topic.encode(), ctypes.c_int(PARTITION), ctypes.c_int32(partition)),
            *(ctypes.c_int(FLAGS), ctypes.c_int(COPY)),
            *(ctypes.c_int(KEY), key, ctypes.c_size_t(len(key or b""))),
            *(ctypes.c_int(VALUE), value, ctypes.c_size_t(len(value or b""))),
            *(ctypes.c_int(TIMESTAMP), ctypes.c_int64(timestamp)),
            *(ctypes.c_int(HEADERS), made, ctypes.c_int(END)),
        )
        assert self._library.rd_kafka_producev(self._handle, *words) == 0

    def flush(self) -> None:
        """Wait until Kafka has all that was sent."""
        assert self._library.rd_kafka_flush(self._handle, int(PATIENCE * 1000)) == 0


@contextmanager
def raw_producer(servers: str) -> Iterator[RawProducer]:
    """Open a producer at the brokers ``servers``."""
    bundled = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(bundled.glob("librdkafka*"))))
    for function in (library.rd_kafka_conf_new, library.rd_kafka_new, library.rd_kafka_headers_new):
        function.restype = ctypes.c_void_p
    why = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    size = ctypes.c_size_t(len(why))
    assert not library.rd_kafka_conf_set(settings, b"bootstrap.servers", servers.encode(), why, size), why.value
    handle = library.rd_kafka_new(PRODUCER, settings, why, size)
    assert handle, why.value
    try:
        yield RawProducer(library, handle)
    finally:
        library.rd_kafka_destroy(ctypes.c_void_p(handle))
