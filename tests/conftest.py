"""What all rooms of tests share: Kafka, Kafka Connect, databases, an event loop, and examples without a clock.

pytest-asyncio asks for the thread's loop before its own; Python 3.11 then makes one that nobody closes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import lines
from tests.connect_worker import connect_worker
from tests.kafka_broker import kafka_broker
from tests.mariadb_server import mariadb_server
from tests.postgres_server import postgres_server
from tests.redis_server import redis_server

__all__ = ["connect_worker", "kafka_broker", "mariadb_server", "postgres_server", "redis_server"]

for name in [name for name in os.environ if name == "KUBECONFIG" or name.startswith("PG")]:
    del os.environ[name]  # what a shell exports for its own cluster or database is no part of a test
os.environ.setdefault("GOGC", "400")  # garbage of what tests start in Go: kubectl and promtool compute a quarter less
# How long examples take, to make or to try, says more of the machine than of us.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")

LAST = 15
"""Lines of each log that are shown beside a failure."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside each failure what the processes of the test logged last, in its folder."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder is not None:
        report.sections.extend(_ends(folder))
    return report


def _ends(folder: Path) -> Iterator[tuple[str, str]]:
    logs = (one for name in ("log", "log-*") for one in folder.glob(name) if one.is_file())
    for log in sorted(logs, key=lambda one: one.stat().st_mtime):
        yield f"the end of {log.name}", "\n".join(lines.written(log)[-LAST:])


@pytest.fixture(scope="session", autouse=True)
def _loop_of_the_main_thread() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
