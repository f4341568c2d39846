"""Whether an API server answered in time: without, an operator can neither keep its Lease nor end its passes well.

A test that judges what the operator makes of much work must know it, or it judges who else uses the machine.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from math import inf
from pathlib import Path

from headrace_operator.clients.api import Api, path
from headrace_operator.reconcile.execute import DEADLINE
from headrace_operator.reconcile.lease import VERSION
from tests.operator.crowd import MERGE, create

NAME = "punctual"
EVERY = 0.5
"""Seconds between an answer and the next question."""

LATE = 1.8
"""Seconds after which an answer is late: half of what one try to renew the Lease may take."""

AFTER = DEADLINE
"""Seconds within which a late answer may show in what the operator logs: nothing that it does may take longer."""

LOST = re.compile(r"ts=(\S+) .*(?:; again in \d+ s|Do not hold the Lease)")
"""A line of the operator's log about a pass that failed, or about the end of its Lease."""


class Punctuality:
    """When the API server was late, by the clock that dates logs."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._asked = inf

    async def watch(self, api: Api, place: str) -> None:
        """Write a Lease of the test's own over and over, until cancelled."""
        meta = {"name": NAME, "namespace": place}
        await create(api, [{"apiVersion": VERSION, "kind": "Lease", "metadata": meta}])
        while True:
            self._asked = time.time()
            change = {"metadata": {"annotations": {"asked": str(self._asked)}}}
            await api.send("PATCH", path(VERSION, "Lease", place, NAME), body=change, form=MERGE)
            self._late += self._overdue()
            self._asked = inf
            await asyncio.sleep(EVERY)

    def count(self) -> int:
        """Return how often it was late."""
        return len(self._late)

    def lacked(self, begun: float, ended: float) -> bool:
        """Tell whether it was late between, or so shortly before that it may still be seen."""
        return any(first <= ended and begun <= last + AFTER for first, last in (*self._late, *self._overdue()))

    def _overdue(self) -> list[tuple[float, float]]:
        now = time.time()
        return [(self._asked, now)] if now - self._asked > LATE else []

    def unexcused(self, log: Path) -> list[str]:
        """Return what the operator failed in, by its log, though the API server answered in time."""
        return [line for at, line in _losses(log.read_text().splitlines()) if not self.lacked(at, at)]


def _losses(lines: Iterable[str]) -> list[tuple[float, str]]:
    found = [(LOST.match(line), line) for line in lines]
    return [(datetime.fromisoformat(told.group(1)).timestamp(), line) for told, line in found if told]


@asynccontextmanager
async def watched(api: Api, place: str) -> AsyncIterator[Punctuality]:
    """Look whether the API server answers in time within."""
    punctuality = Punctuality()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(punctuality.watch(api, place))
        try:
            yield punctuality
        finally:
            watching.cancel()
