"""One contestant publishes one load: how fast, by the database's own clock, and with how much processor time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.bench.consumer import machine
from tests.cluster.fast import END_WITH_PARENT
from tests.runtime.relay.outboxes import Outbox, relaying
from tests.waiting import until

KEYS = 997
PAYLOAD = json.dumps({"order": 1, "lines": ["x" * 40] * 8})
"""About 400 bytes, as orders have."""


@dataclass(frozen=True, kw_only=True)
class Lap:
    """What one load took: rows a second from the first mark to the last, and processor seconds of the publisher."""

    rate: float
    seconds: float


@contextmanager
def bare(made: Outbox) -> Iterator[list[int]]:
    """Run the bare loop; yields the pids of what publishes."""
    file = made.folder / "bare.json"
    settings = {"dialect": made.place.dialect.value, "port": made.place.port}
    settings |= {"kafka": made.broker.bootstrap_servers, "prefix": made.relay.topic_prefix}
    file.write_text(json.dumps(settings))
    words = [*END_WITH_PARENT, sys.executable, "-m", "tests.bench.relay.bare", str(file)]
    with subprocess.Popen(words) as process:
        try:
            yield [process.pid]
        finally:
            process.kill()


@contextmanager
def relays(made: Outbox, count: int) -> Iterator[list[int]]:
    """Run so many replicas of the relay, each with its share of the buckets; yields their pids."""
    with ExitStack() as stack:
        running = [stack.enter_context(relaying(made)) for _ in range(count)]
        until("they run", lambda: all(one.get("/metrics")[0] == 200 for one in running))
        share = 64 // count
        until("their shares", lambda: all(one.metric("headrace_relay_buckets") == share for one in running))
        yield [one.process.pid for one in running]


def lap(made: Outbox, pids: list[int], rows: int) -> Lap:
    """Let what runs publish a load, and return what that took."""
    made.run("TRUNCATE TABLE outbox")
    made.insert([("warm", PAYLOAD)])
    until("it publishes", made.is_done(1))
    before = _worked(pids)
    made.insert([(f"key-{number % KEYS}", PAYLOAD) for number in range(rows)])
    until("all processed", made.is_done(rows + 1))
    return Lap(rate=_rate(made), seconds=_worked(pids) - before)


def _rate(made: Outbox) -> float:
    """Return rows a second between the first mark, whose rows are left out, and the last."""
    begun = "(SELECT min(processedAt) FROM outbox WHERE messageKey <> 'warm')"
    later = f"messageKey <> 'warm' AND processedAt > {begun}"
    ((first, last, count),) = made.run(f"SELECT {begun}, max(processedAt), count(*) FROM outbox WHERE {later}")
    return float(count / (last - first).total_seconds())


def _worked(pids: list[int]) -> float:
    return machine.used(*pids) - machine.used()
