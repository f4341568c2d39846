"""Tells with the commits how busy this pod is: a report each few seconds while there is work, and a last one after it.

The poll thread alone owns it.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from headrace.config import Config
from headrace.flow.ledger import Assignment, Ledger
from headrace.load import FULL, LoadReport
from headrace.worker.dispatch import Dispatcher

EVERY = 5.0
"""Seconds from one report to the next."""


class Load:
    """The report of the pod of this name, and the partition that tells it."""

    def __init__(self, config: Config, pod: str, dispatcher: Dispatcher, ledger: Ledger) -> None:
        self._retry_topic = config.topics.retry
        self._most = config.delivery.concurrency
        self._pod = pod
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._began = time.monotonic()
        self._used = 0.0
        self._report: LoadReport | None = None
        self._teller: Assignment | None = None
        self.handled = 0

    def look(self, now: float, assignments: Collection[Assignment]) -> None:
        """Report what is due, to be told with one of ``assignments``, those that are ours and can be committed.

        It is the lowest, by topic and number: of a source if there is one, as the retry topic's has more else to tell.
        """
        self._teller = min(assignments, key=lambda one: (one.topic == self._retry_topic, *one.name), default=None)
        if now - self._began >= EVERY:
            self._measure(now)

    def told_with(self, assignment: Assignment) -> LoadReport | None:
        """Return the report where this is the partition that tells it, and stays: the next owner's is another one."""
        return self._report if assignment is self._teller and not assignment.given_away else None

    def end(self) -> None:
        """Report nothing more: this pod leaves."""
        self._report = self._teller = None

    def _measure(self, now: float) -> None:
        used = self._dispatcher.busy.seconds(now)
        window, busy = now - self._began, used - self._used
        idle = not (busy or self.handled or self._ledger.unfinished)
        if not idle or self._report is None or not self._report.idle:
            self._report = self._made(window, busy, idle=idle)
        self._began, self._used, self.handled = now, used, 0

    def _made(self, window: float, busy: float, *, idle: bool) -> LoadReport:
        target = self._dispatcher.target
        return LoadReport(
            pod=self._pod,
            end=int(time.time()),
            window=round(window * 1000),
            busy=round(FULL * busy / (window * self._most)),
            handled=self.handled,
            parked=self._dispatcher.keys.parked,
            circuit=target.circuit,
            since=target.since,
            cause=target.cause,
            idle=idle,
        )
