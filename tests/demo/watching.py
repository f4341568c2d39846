"""See how the pipeline is doing: the two databases, the Consumer's status, and the operator's offsets.

It must not change anything, and reaches all of it through the API server.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.waiting import PATIENCE

from .reach import DemoError, Reach
from .view import Figures

OPERATOR = ("deploy/headrace-operator", 8081, "headrace-system")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Open ways to both databases and to the operator's metrics."""

    reach: Reach
    shop: psycopg.Connection
    billing: psycopg.Connection
    metrics: str

    def figures(self, begin: float, first: int, orders: int) -> Figures:
        """Look once; ``begin`` is a reading of the monotonic clock, ``first`` the id of this run's first order."""
        status = self.reach.get("consumers.headrace.dev", "billing").get("status", {})
        lag = status.get("lag", {})
        return Figures(
            seconds=time.monotonic() - begin,
            orders=orders,
            written=self.count("shop", f"SELECT count(*) FROM orders WHERE id >= {first}"),
            captured=self._captured(),
            handled=self.effects(),
            retried=self.count("billing", "SELECT count(*) FROM deliveries WHERE attempt > 1"),
            refused=self.count("billing", "SELECT count(*) FROM refusals"),
            lag_records=lag.get("records"),
            lag_seconds=lag.get("seconds"),
            dead_letters=status.get("deadLetters", {}).get("outstanding"),
            replicas=status.get("replicas"),
            ready=status.get("readyReplicas"),
        )

    def effects(self) -> int:
        """Count billing's effects."""
        return self.count("billing", "SELECT count(position) FROM deliveries")

    def count(self, database: str, query: str) -> int:
        """Return the one number that ``query`` gives."""
        connection = self.shop if database == "shop" else self.billing
        row = connection.execute(query.encode()).fetchone()
        return int(row[0]) if row is not None and row[0] is not None else 0

    def _captured(self) -> int | None:
        """Sum the end offsets of the source topics; None while the operator's metrics cannot be read."""
        try:
            with urllib.request.urlopen(self.metrics, timeout=3) as answer:
                lines = answer.read().decode().splitlines()
        except (urllib.error.URLError, OSError):
            return None
        ends = [line for line in lines if line.startswith("headrace_consumer_end_offset{")]
        mine = [line for line in ends if 'consumer="billing"' in line and 'role="source"' in line]
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in mine)) if mine else None


@contextmanager
def opened(reach: Reach) -> Iterator[Watch]:
    """Open the ways. Raises DemoError or ``psycopg.Error``."""
    with ExitStack() as stack:
        shop, billing = (stack.enter_context(database(reach, name)) for name in ("shop", "billing"))
        port = stack.enter_context(reach.forwarded(OPERATOR[0], OPERATOR[1], OPERATOR[2]))
        yield Watch(reach=reach, shop=shop, billing=billing, metrics=f"http://127.0.0.1:{port}/metrics")


@contextmanager
def database(reach: Reach, name: str) -> Iterator[psycopg.Connection]:
    """Connect to the database ``name`` with its Secret. Raises DemoError or ``psycopg.Error``."""
    words = ("kubectl", "-n", "shop", "get", "secret", f"{name}-db", "-o")
    user, password = reach.run(
        *words, "go-template={{.data.username | base64decode}} {{.data.password | base64decode}}"
    ).split()
    with (
        reach.forwarded(f"svc/{name}-db", 5432) as port,
        psycopg.connect(
            host="127.0.0.1",
            port=port,
            dbname=name,
            user=user,
            password=password,
            autocommit=True,
            connect_timeout=int(PATIENCE),
        ) as connection,
    ):
        yield connection


def _tell(line: str) -> None:
    print(f"    {line}", flush=True)


def until(
    what: str,
    seen: Callable[[], tuple[bool, str]],
    *,
    reach: Reach,
    seconds: float,
    advice: str,
    every: float = 2,
    say: Callable[[str], None] = _tell,
) -> None:
    """Wait until ``seen`` says yes, saying what it sees when that changes. Raises DemoError at the deadline."""
    deadline = time.monotonic() + seconds
    last = ""
    while True:
        good, now = seen()
        if now != last:
            say(now)
            last = now
        if good:
            return
        if time.monotonic() > deadline:
            pods = reach.run("kubectl", "-n", "shop", "get", "pods", "-o", "wide")
            raise DemoError(f"{what} was awaited for {seconds:.0f} s.\nSeen: {last}\n{pods}\nWhat to do: {advice}")
        time.sleep(every)


def readiness(found: dict[str, Any]) -> tuple[bool, str]:
    """Say whether an object of ours is Ready for its present generation, and why not."""
    name = f"{found['kind']} {found['metadata']['name']}"
    for condition in found.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready":
            present = condition.get("observedGeneration") == found["metadata"]["generation"]
            ready = condition["status"] == "True" and present
            return ready, f"{name}: {'ready' if ready else condition['reason'] + ': ' + condition['message']}"
    return False, f"{name}: no condition yet (is the operator running?)"
