"""The real parts that a Connector needs, for this session of tests."""

from __future__ import annotations

import pytest

from tests.connect.capturing import Parts
from tests.connect_worker import ConnectWorker
from tests.kafka_broker import KafkaBroker
from tests.postgres_server import PostgresServer


@pytest.fixture
def parts(connect_worker: ConnectWorker, postgres_server: PostgresServer, kafka_broker: KafkaBroker) -> Parts:
    return Parts(worker=connect_worker, server=postgres_server, broker=kafka_broker)
