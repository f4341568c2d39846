"""Lets a partition stand behind its dead letter until that has a resolution (`onDeadLetter.action: Stop`).

With `ParkKey` as well, where no key of it can wait alone.

The poll thread alone owns it. What a partition stands behind is told with its commits, so that every later owner knows.
What became of the letters is read by a thread of its own. A record that was put back is handled before the partition
goes on; if it fails again, its new letter is what the partition stands behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from functools import partial

from headrace.config import Config
from headrace.flow.finished import Finished
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.partitions import Partition
from headrace.kafka import connection
from headrace.kafka.producer import Written
from headrace.kafka.topics import Reader, RefusedError, TopicMissingError, UnansweredError
from headrace.letters import stops
from headrace.letters.stops import Ends, Look
from headrace.metrics import Metrics
from headrace.progress import Stop
from headrace.worker.dispatch import Dispatcher
from headrace.worker.looking import Looking
from headrace.worker.pauses import Pauses

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks whether there is a resolution."""


class Stops:
    """What stands of the partitions in ``ledger``."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        pauses: Pauses,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._topics = config.topics
        self._is_wanted = config.delivery.on_dead_letter.action != "Skip"
        self._ledger = ledger
        self._pauses = pauses
        self._dispatcher = dispatcher
        self._loop = loop
        self._metrics = metrics
        self._looking: Looking[Look] = Looking("stops", LOOK_EVERY)
        self._seen: tuple[Mapping[Partition, Stop], Ends] | None = None
        self._asked: set[Assignment] = set()
        self._resolved: dict[Assignment, int] = {}
        self._places: dict[tuple[Assignment, int], Written] = {}

    def begin(self, partitions: Collection[Partition]) -> None:
        """Let those of these partitions stand that stood with their owner before, if that is still wanted."""
        self._seen = None
        self._places = {record: at for record, at in self._places.items() if not record[0].given_away}
        for partition in partitions:
            assignment = self._ledger.find(*partition)
            if assignment is None or assignment.stopped is None:
                continue
            if self._is_wanted:
                log.warning("%s/%d still stands behind the dead letter %s", *partition, assignment.stopped)
                assignment.halted = True
            else:
                assignment.stopped = None
        self._hold()

    def note(self, letter: Finished, at: Written) -> None:
        """Note where a dead letter is written."""
        source = letter.record.source.topic, letter.record.source.partition
        if self._is_wanted and not self._dispatcher.keys.followers.keeps(source):
            self._places[letter.assignment, letter.record.offset] = at

    def stop(self, letter: Finished) -> Assignment | None:
        """Let the partition of a record stand that is dead-lettered; return it, or None where it goes on."""
        at = self._places.pop((letter.assignment, letter.record.offset), None)
        source = letter.record.source
        assignment = self._ledger.find(source.topic, source.partition)
        if at is None or assignment is None or self._ledger.find(*letter.assignment.name) is not letter.assignment:
            return None
        assignment.halted = True
        self._loop.call_soon_threadsafe(self._dispatcher.halt, assignment.name)
        self._asked.discard(assignment)
        self._resolved.pop(assignment, None)
        if assignment.stopped is None:
            assignment.stopped = Stop(at.partition, at.offset, source.offset)
            log.error("%s/%d stands until the dead letter %s has a resolution", *assignment.name, assignment.stopped)
        return assignment

    def serve(self, now: float, *, writing: bool) -> list[Assignment]:
        """Return what goes on now: its letters have a resolution, and what was put back of them is handled.

        ``writing``: dead letters, or commands, are on their way. Without, what is halted had one that was dropped with
        its partition.
        """
        self._take()
        halted = self._hold()
        standing = {one.name: one.stopped for one in halted if one.stopped is not None}
        if standing and self._looking.is_due(now):
            self._asked = {*halted}
            self._looking.begin(now, partial(self._look, standing))
        return [one for one in halted if self._may_go_on(one, writing=writing)]

    def _hold(self) -> list[Assignment]:
        """Read nothing of what stands, and return it."""
        halted = [one for one in self._ledger.owned if one.halted]
        self._pauses.set_stopped(frozenset(one for one in halted if not one.given_away))
        self._metrics.stopped.set(len(halted))
        return halted

    def _may_go_on(self, one: Assignment, *, writing: bool) -> bool:
        if one.stopped is None:
            return not writing
        retry = self._ledger.find(self._topics.retry, one.partition)
        end = self._resolved.get(one)
        return end is not None and (retry is None or _handled(retry) >= end)

    def _take(self) -> None:
        """Learn what was found; what came here, or failed once more, since it was asked for is looked at anew."""
        found = self._looking.take()
        if found is None:
            return
        self._resolved = {one: end for one, end in self._resolved.items() if not one.given_away}
        for partition, stop in found.stops.items():
            assignment = self._ledger.find(*partition)
            if assignment is None or assignment not in self._asked:
                self._seen = None
            elif stop is None:
                self._resolved[assignment] = found.ends.get(assignment.partition, 0)
            else:
                assignment.stopped = stop

    def _look(self, standing: Mapping[Partition, Stop]) -> Look:
        """Return what became of these letters, if there is news; in its own thread."""
        found = Look({}, {})
        try:
            with Reader(connection.properties(self._config.kafka), group=self._config.group) as reader:
                seen = standing, stops.ends(reader, self._topics)
                if seen != self._seen:
                    found, self._seen = stops.look(reader, self._topics, standing), seen
        except (RefusedError, UnansweredError, TopicMissingError, OSError) as error:
            log.warning("whether dead letters have a resolution is not known, asking again: %s", error)
        return found


def _handled(retry: Assignment) -> int:
    """Return the offset of a retry partition up to which all is handled."""
    return retry.position if retry.frontier is None else retry.frontier
