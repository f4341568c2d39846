"""What is committed and when: each partition's offset, and with it what is known of the records beyond.

The poll thread alone owns it. Each second it commits what changed, also where the offset stands still behind a record
that is tried again: so whoever has the partition next repeats, of what is finished, at most that of the last second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from headrace.flow import offset_map
from headrace.flow.ledger import Assignment, Ledger
from headrace.flow.offset_map import OffsetMap
from headrace.flow.partitions import Partition
from headrace.kafka.answers import Then
from headrace.kafka.consumer import CommitFailed, Committed, Source
from headrace.metrics import Metrics
from headrace.progress import Progress, decode, encode
from headrace.worker.load import Load

log = logging.getLogger(__name__)

Told = tuple[int, str]
"""An offset and the metadata that is committed with it."""

EVERY, AFTER = 1.0, 5_000
"""Seconds, and records finished, after which a commit is due."""

SUSPECTS = AFTER
"""Unfinished records of a partition that are suspect after an unclean stop: more cannot run after the last commit."""

CROWDED = 0.75
"""Share of the room for metadata beyond which no more records of a partition are taken, until it is less again."""


class Commits:
    """Commits the offsets of the partitions in ``ledger``.

    ``retrying`` returns of a partition how many keys are tried again, and how many records they hold; ``load`` is what
    one of them tells of the pod, and ``mark`` what each tells of whose the group is.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        metrics: Metrics,
        retrying: Callable[[Assignment], tuple[int, int]],
        load: Load,
        mark: str,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._metrics = metrics
        self._retrying = retrying
        self._load = load
        self._mark = mark
        self._at = 0.0
        self.completions = 0
        self.crowded: frozenset[Assignment] = frozenset()

    def assign(self, partition: Partition, committed: Committed | None) -> None:
        """Begin to own a partition where the owner before left it; what that one may have died of is suspect."""
        told, known = self._inherited(partition, committed)
        assignment = self._ledger.assign(*partition, committed.offset if committed else None, known)
        assignment.told = committed and (committed.offset, committed.metadata or "")
        assignment.suspects = SUSPECTS if told and told.running else 0
        assignment.stopped = told.stopped if told else None
        assignment.sequences = told.sequences if told else None
        assignment.first = told.first if told else None
        assignment.parkers = told.parkers if told else ()

    def _inherited(self, partition: Partition, committed: Committed | None) -> tuple[Progress | None, OffsetMap | None]:
        """Return what came with a committed offset; what is not ours, or a map of another offset, is none."""
        if committed is None or not committed.metadata:
            return None, None
        told = decode(committed.metadata)
        known = offset_map.decode(told.map) if told and told.map else None
        if told is None or (told.map and (known is None or known.at != committed.offset)):
            log.warning("the metadata of the commit of %s/%d is not Headrace's, and is ignored", *partition)
            self._metrics.ignored_metadata.inc()
            return None, None
        return told, known

    def _look_for_mistrusted(self) -> None:
        for one in self._ledger.owned:
            if one.mistrusted:
                one.mistrusted = False
                log.warning("what the commit of %s/%d tells is of another log, and is ignored", *one.name)
                self._metrics.ignored_metadata.inc()

    def when_due(self, now: float) -> None:
        """Commit what changed since the last time, once a second or after many completions."""
        if now - self._at < EVERY and self.completions < AFTER:
            return
        self._at, self.completions = now, 0
        self._look_for_mistrusted()
        known = self._known(self._ledger.owned)
        self._load.look(now, known)
        self.crowded = frozenset(one for one, what in known.items() if self._is_crowded(what))
        told = self._told(known)
        self._commit({one: what for one, what in told.items() if one.told != what})

    def write_ahead(self, assignments: Collection[Assignment], then: Then | None = None) -> None:
        """Commit what is known now; ``then`` is told whether Kafka took it."""
        self._commit(self._told(self._known(assignments)), then)

    def confirm(self, then: Then) -> None:
        """Commit everything that is ours: Kafka refuses it when it is no longer ours.

        Of what was not read yet, what is committed already: to commit nothing would ask nobody.
        """
        before = {one: one.told for one in self._ledger.owned if one.told is not None}
        self._commit({**before, **self._told(self._known(self._ledger.owned))}, then)

    def finish(self, assignments: Collection[Assignment]) -> None:
        """Commit for the last time: the next owner of these partitions begins with what is known now."""
        self._commit(self._told(self._known(assignments)))

    def committed(self, partition: Partition, offset: int | None) -> None:
        """Note what became of a commit: its offset, or None when it failed."""
        assignment = self._ledger.find(*partition)
        if offset is None:
            self._metrics.commit_failures.inc()
            if assignment is not None:
                assignment.told = None
            return
        self._metrics.committed.inc()
        if assignment is not None:
            assignment.committed = offset

    def _commit(self, due: Mapping[Assignment, Told], then: Then | None = None) -> None:
        for one, what in due.items():
            one.told = what
        try:
            self._source.commit([(one.name, *what) for one, what in due.items()], then)
        except CommitFailed as error:
            self._failed(due, error)
            if then is not None:
                then(False)

    def _failed(self, due: Iterable[Assignment], error: CommitFailed) -> None:
        for one in due:
            one.told = None
        self._metrics.commit_failures.inc()
        log.warning("commit failed, what it covered may be delivered again: %s", error)

    def _known(self, assignments: Collection[Assignment]) -> dict[Assignment, OffsetMap]:
        """Return what is known of those of which anything is."""
        return {one: one.offset_map() for one in assignments if one.frontier is not None}

    def _told(self, known: Mapping[Assignment, OffsetMap]) -> dict[Assignment, Told]:
        return {one: (what.at, self._metadata(one, what)) for one, what in known.items()}

    def _is_crowded(self, known: OffsetMap) -> bool:
        return offset_map.least(known) > CROWDED * self._source.room

    def _metadata(self, assignment: Assignment, known: OffsetMap) -> str:
        retrying, held = self._retrying(assignment)
        running = assignment.begun and not assignment.given_away
        load = self._load.told_with(assignment)
        counts = Progress(
            done=assignment.done,
            retrying=retrying,
            held=held,
            running=running,
            load=load,
            stopped=assignment.stopped,
            sequences=assignment.sequences,
            first=assignment.first,
            parkers=assignment.parkers,
            mark=self._mark,
        )
        return with_map(counts, known, self._source.room)


def with_map(progress: Progress, known: OffsetMap, room: int) -> str:
    """Return as metadata of at most ``room`` characters what a partition has come to; empty if nothing fits.

    A load that would take room from the map is left out.
    """
    bare = encode(progress)
    if progress.load and len(bare) > (1 - CROWDED) * room:
        bare, progress = encode(replace(progress, load=None)), replace(progress, load=None)
    text = offset_map.encode(known, room - len(bare) - len(" map="))
    whole = encode(replace(progress, map=text))
    return whole if len(whole) <= room else ""
