"""A shop whose database a real Debezium captures, for the tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.connect_worker import ConnectWorker
from tests.kafka_broker import KafkaBroker
from tests.operator.capturing import Capturing, capturing
from tests.postgres_server import PostgresServer


@pytest.fixture
async def shop(
    connect_worker: ConnectWorker,
    postgres_server: PostgresServer,
    kafka_broker: KafkaBroker,
) -> AsyncIterator[Capturing]:
    """Run the operator's passes for a database of its own."""
    async with capturing(connect_worker, postgres_server, kafka_broker) as made:
        yield made
