"""Brokers that librdkafka mocks in this process, for what one real broker cannot do: be away alone, refuse on demand.

`rdkafka_mock.h` of librdkafka, which Python's client has within and does not show, says what they can. They listen on
loopback, so that other processes use them too; what they keep is gone with them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import confluent_kafka

from tests.kafka_broker import KafkaBroker

PRODUCE, OFFSET_COMMIT, OFFSET_FETCH = 0, 8, 9
"""Kafka's numbers of requests that may be refused."""

EVER = 100_000

_PRODUCER = 0


class MockCluster:
    """So many brokers, numbered from 1, that know of no topic yet."""

    def __init__(self, library: ctypes.CDLL, cluster: int) -> None:
        self._library = library
        self._cluster = ctypes.c_void_p(cluster)
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        self.bootstrap_servers = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    @property
    def broker(self) -> KafkaBroker:
        """The same as what a `World` asks of a broker: its address, and topics."""
        return cast(KafkaBroker, self)

    def address(self, broker: int) -> str:
        """Return how clients name a broker: its address and its number."""
        return f"{self.bootstrap_servers.split(',')[broker - 1]}/{broker}"

    def create_topic(self, name: str, partitions: int = 1) -> str:
        """Make a topic whose partitions are with broker 1, and return its name."""
        self._do("topic_create", name.encode(), partitions, 1)
        for number in range(partitions):
            self.lead(name, number, 1)
        return name

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Let a broker lead a partition."""
        self._do("partition_set_leader", topic.encode(), partition, broker)

    def coordinate(self, group: str, broker: int) -> None:
        """Let a broker coordinate a group."""
        self._do("coordinator_set", b"group", group.encode(), broker)

    @contextmanager
    def away(self, broker: int) -> Iterator[None]:
        """Let a broker end its connections and take none."""
        self._do("broker_set_down", broker)
        try:
            yield
        finally:
            self._do("broker_set_up", broker)

    @contextmanager
    def slow(self, broker: int, seconds: float) -> Iterator[None]:
        """Let a broker answer each request so much later."""
        self._do("broker_set_rtt", broker, int(seconds * 1000))
        try:
            yield
        finally:
            self._do("broker_set_rtt", broker, 0)

    def refuse(self, request: int, error: int, times: int) -> None:
        """Answer the next requests of that number with an error."""
        errors = (ctypes.c_int * times)(*[error] * times)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(request), ctypes.c_size_t(times), errors
        )

    @contextmanager
    def refusing(self, request: int, error: int) -> Iterator[None]:
        """Answer all requests of that number with an error meanwhile."""
        self.refuse(request, error, EVER)
        try:
            yield
        finally:
            self._library.rd_kafka_mock_clear_request_errors(self._cluster, ctypes.c_int16(request))

    def _do(self, what: str, *arguments: bytes | int) -> None:
        error = getattr(self._library, f"rd_kafka_mock_{what}")(self._cluster, *arguments)
        assert error == 0, f"{what}{arguments}: error {error} of librdkafka"


@contextmanager
def mocked(brokers: int) -> Iterator[MockCluster]:
    """Run so many brokers until the end of the block."""
    (file,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    library = ctypes.CDLL(str(file))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    said = ctypes.create_string_buffer(512)
    owner = library.rd_kafka_new(_PRODUCER, ctypes.c_void_p(library.rd_kafka_conf_new()), said, ctypes.c_size_t(512))
    assert owner, said.value
    cluster = library.rd_kafka_mock_cluster_new(ctypes.c_void_p(owner), brokers)
    try:
        yield MockCluster(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(ctypes.c_void_p(cluster))
        library.rd_kafka_destroy(ctypes.c_void_p(owner))
