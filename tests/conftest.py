"""What all rooms of tests share: Kafka, Kafka Connect, databases, an event loop, and examples without a clock.

pytest-asyncio asks for the thread's loop before its own; Python 3.11 then makes one that nobody closes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.connect_worker import connect_worker
from tests.kafka_broker import kafka_broker
from tests.mariadb_server import mariadb_server
from tests.postgres_server import postgres_server
from tests.redis_server import redis_server

__all__ = ["connect_worker", "kafka_broker", "mariadb_server", "postgres_server", "redis_server"]

os.environ.setdefault("GOGC", "400")  # garbage of what tests start in Go: kubectl and promtool compute a quarter less
# How long examples take, to make or to try, says more of the machine than of us.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
