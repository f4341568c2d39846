"""The relay's loop, on a thread of its own: read, write to Kafka, mark, and wait where something is in the way.

A row is marked only after all in-sync replicas have its record. Where the process ends between the two, its row is
published again: repeats are of the batch that was under way. What is read at one look is in the order of ids, and of a
key nothing goes before what a look showed before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from headrace.kafka import connection
from headrace.kafka.publisher import KafkaAway, Outcome, Outgoing, Publisher, Said
from headrace.outbox import Relay
from headrace.relay import batches
from headrace.relay.holds import MOST_LANES, MOST_ROUTES, Holds, wait
from headrace.relay.leases import Leases
from headrace.relay.messages import Row
from headrace.relay.metrics import Metrics
from headrace.relay.source import Source, Trouble
from headrace.relay.standing import DATABASE, KAFKA, ROWS, Standing

log = logging.getLogger(__name__)

FIRST_WAIT, SHORT_WAIT, LONGEST_WAIT = 0.5, 1.0, 15.0
"""Seconds after a first failure, and at most, with rows to mark and without: they double between."""

MEASURE_EVERY = 15.0
LOOK_AT_CREDENTIALS_EVERY = 5.0
DELETE_EVERY = 10.0
SLOW = 10.0
"""Seconds without an acknowledgement after which Kafka is said to be away; it is waited for all the same."""

GRACE = 10.0
"""Seconds for which what is under way is waited for at the end."""


class Loop(threading.Thread):
    """Relays until it is stopped; ``fault`` is what ended it otherwise."""

    def __init__(self, settings: Relay, metrics: Metrics, standing: Standing) -> None:
        """Read the credentials of Kafka; raises ``OSError``."""
        super().__init__(name="relay", daemon=True)
        self._settings, self._metrics, self._standing = settings, metrics, standing
        self._source = Source(settings)
        self._leases = Leases(self._source, settings)
        self._publisher = Publisher(settings.kafka)
        self._mounted = connection.mounted(settings.kafka)
        self._holds = Holds()
        self._suspects: set[Any] = set()
        self._unmarked: list[Any] = []
        self._failures = 0
        self._begun = 0.0
        self._due = {"look": 0.0, "measure": 0.0, "credentials": 0.0, "delete": 0.0}
        self._ending = threading.Event()
        self._ends_at = float("inf")
        self.fault: BaseException | None = None

    def stop(self) -> None:
        """Finish what is under way, for at most `GRACE` seconds, and end."""
        self._ends_at = time.monotonic() + GRACE
        self._ending.set()

    def run(self) -> None:
        try:
            while not self._ending.is_set():
                self._standing.beat = time.monotonic()
                self._ending.wait(self._turn())
            self._leave()
        except Exception as error:  # noqa: BLE001 -- it ends the process, by name
            self.fault = error

    def _turn(self) -> float:
        """Do what is next; return the seconds to wait."""
        try:
            pause = self._step()
        except Trouble as trouble:
            self._standing.trouble(DATABASE, str(trouble))
        except KafkaAway as away:
            self._standing.trouble(KAFKA, f"Kafka does not take records: {away}")
        except OSError as error:
            self._standing.trouble(KAFKA, f"the mounted credentials of Kafka cannot be used: {error}")
        else:
            self._failures = 0
            return pause
        finally:
            self._tell()
        self._failures += 1
        longest = SHORT_WAIT if self._unmarked else LONGEST_WAIT
        return float(min(longest, FIRST_WAIT * 2.0 ** min(self._failures - 1, 10)))

    def _step(self) -> float:
        self._mark()
        self._leases.share()
        self._look_after()
        now = time.monotonic()
        if not self._leases.held:
            self._standing.well(DATABASE)
        elif now >= self._due["look"]:
            return self._look(now)
        return min(1.0, self._settings.interval)

    def _look(self, now: float) -> float:
        """Read pending rows and write them; return the seconds to wait."""
        self._look_at_topics(now)
        if self._holds.is_full and len(self._holds.lanes(now)) >= MOST_LANES:
            return 1.0
        rows = self._source.look(self._settings.batch, self._leases.held, self._holds, now)
        self._standing.looked = True
        self._standing.well(DATABASE)
        if not rows:
            self._standing.well(KAFKA)  # nothing is there that it would have to take
            self._due["look"] = now + self._settings.interval
            return min(1.0, self._settings.interval)
        self._write(batches.together(rows, self._suspects))
        return 0.0

    def _write(self, rows: Sequence[Row]) -> None:
        """Write rows that were read together, and mark those that Kafka has."""
        rows = [row for row in rows if self._has_topic(row)]
        if not rows or not self._leases.is_live:
            return
        records = [Outgoing(*row.record) for row in rows]
        self._begun = time.monotonic()
        if len(rows) == 1 and batches.is_alone(rows[0], self._suspects):
            said = [self._publisher.write_alone(records[0], self._going_on)]
        else:
            said = self._publisher.write(records, self._going_on)
        self._unmarked += [row.id for row, one in zip(rows, said, strict=True) if one.outcome is Outcome.WRITTEN]
        self._mark()
        self._settle(rows, said)

    def _settle(self, rows: Sequence[Row], said: Sequence[Said]) -> None:
        """Decide what becomes of rows that were not written."""
        left = [(row, one) for row, one in zip(rows, said, strict=True) if one.outcome is not Outcome.WRITTEN]
        if not left:
            self._suspects.difference_update(row.id for row in rows)
            self._standing.well(KAFKA)
            return
        alone = len(rows) == 1 and batches.is_alone(rows[0], self._suspects)
        for row, one in left:
            if one.outcome is Outcome.TOPIC:
                self._hold_route(row, one.words)
            elif one.outcome is Outcome.REFUSED and alone:
                self._refuse(row, one.words)
            elif one.outcome is Outcome.REFUSED:
                self._suspects.add(row.id)
        if all(one.outcome is Outcome.UNKNOWN for _, one in left):
            raise KafkaAway(self._publisher.words or left[0][1].words)

    def _refuse(self, row: Row, why: str) -> None:
        """Count a row's failure; its key waits until the next attempt, or goes on without it."""
        failures = row.failures + 1
        failed = failures >= self._settings.retry.attempts
        words = f"{row.record.topic} did not take it ({row.size} bytes): {why}"
        end = "FAILED" if failed else f"attempt {failures} of {self._settings.retry.attempts}"
        log.warning("row %s: %s: %s", row.id, words, end)
        self._source.refused(row.id, words, failed=failed)
        self._suspects.discard(row.id)
        (self._metrics.failed if failed else self._metrics.refused).inc()
        if not failed:
            self._holds.hold_lane(row.lane, time.monotonic() + wait(self._settings.retry, failures))

    def _has_topic(self, row: Row) -> bool:
        """Tell whether a row's topic takes records; its rows wait where it does not."""
        if row.route in self._holds.routes:
            return False
        why = self._publisher.missing(row.record.topic)
        if why:
            self._hold_route(row, why)
        return not why

    def _hold_route(self, row: Row, why: str) -> None:
        words = f"topic {row.record.topic}: {why}"
        if self._holds.hold_route(row.route, words, time.monotonic()):
            return
        words += f"; so say {MOST_ROUTES} others, so it is no topic but a mistake in the rows"
        self._source.refused(row.id, words, failed=True)
        self._metrics.failed.inc()
        log.warning("row %s: %s: FAILED", row.id, words)

    def _look_at_topics(self, now: float) -> None:
        """Let the rows of topics that are due be read again: the next look finds out."""
        for route in self._holds.due_routes(now):
            self._holds.release_route(route)

    def _tell_of_rows(self) -> None:
        waiting = list(self._holds.routes.values())
        if waiting:
            self._standing.trouble(ROWS, f"rows wait for {len(waiting)} topics; {waiting[0]}")
        elif self._holds.is_full:
            self._standing.trouble(ROWS, f"Kafka refuses the first rows of {MOST_LANES} keys: nothing else is read")
        else:
            self._standing.well(ROWS)

    def _mark(self) -> None:
        """Mark what Kafka has acknowledged; what cannot be marked now is kept, and nothing is read before."""
        if self._unmarked:
            self._leases.renew()  # another would publish them again
            self._source.processed(self._unmarked)
            self._metrics.published.inc(len(self._unmarked))
            self._unmarked = []

    def _going_on(self) -> bool:
        """Tell whether what is under way may go on; renews what is held, and tells of a Kafka that does not answer."""
        now = self._standing.beat = time.monotonic()
        try:
            self._leases.renew()
            if now - self._begun > SLOW:
                self._standing.trouble(
                    KAFKA, f"Kafka does not acknowledge records: {self._publisher.words or 'silence'}"
                )
                self._measure(now)
                self._tell()
        except Trouble as trouble:
            self._standing.trouble(DATABASE, str(trouble))
        return self._leases.is_live and time.monotonic() < self._ends_at

    def _look_after(self) -> None:
        """Measure, follow the credentials and delete what is old, each in its time."""
        now = time.monotonic()
        self._measure(now)
        if self._is_due("credentials", now, LOOK_AT_CREDENTIALS_EVERY):
            self._follow_credentials()
        if self._settings.retention and 0 in self._leases.held and self._is_due("delete", now, DELETE_EVERY):
            deleted = self._source.delete_processed(self._settings.retention)
            self._metrics.deleted.inc(deleted)
            if deleted:
                self._due["delete"] = now

    def _measure(self, now: float) -> None:
        if self._is_due("measure", now, MEASURE_EVERY):
            self._standing.figures = self._source.figures()

    def _follow_credentials(self) -> None:
        found = connection.mounted(self._settings.kafka)
        if found != self._mounted:
            log.info("the credentials of Kafka changed: going on with new clients")
            self._mounted = found
            self._publisher.reopen()

    def _is_due(self, what: str, now: float, every: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every
        return True

    def _tell(self) -> None:
        standing = self._standing
        self._tell_of_rows()
        standing.held, standing.waiting_topics = len(self._leases.held), len(self._holds.routes)
        standing.is_ordered = self._source.is_ordered
        self._metrics.tell(standing)

    def _leave(self) -> None:
        try:
            self._mark()
            self._leases.leave()
        except Trouble as trouble:
            log.warning("others wait until the leases are over: %s", trouble)
        self._source.close()
