"""Partitions whose offset no longer exists: they stop, or go on elsewhere, as the Consumer wants (`onOffsetLost`).

The poll thread alone owns it. It asks Kafka what there is and decides; it reads no records and commits nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from headrace.config import OnOffsetLost
from headrace.flow.offsets import Span, restart
from headrace.flow.partitions import Partition
from headrace.kafka.consumer import Source
from headrace.metrics import Metrics

log = logging.getLogger(__name__)

ASK_EVERY = 2.0
"""Seconds until Kafka is asked again what a log has, when it did not answer."""


class Lost:
    """What is lost now: each partition with its offset, and what its log has once that is known."""

    def __init__(self, wish: OnOffsetLost, source: Source, metrics: Metrics) -> None:
        self._wish = wish
        self._source = source
        self._metrics = metrics
        self._offsets: dict[Partition, int] = {}
        self._asked: dict[Partition, float] = {}
        self._rests_until = 0.0

    def __contains__(self, partition: object) -> bool:
        return partition in self._offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def note(self, partition: Partition, offset: int) -> None:
        """Note that ``partition`` stands at ``offset``, which does not exist."""
        self._offsets[partition] = offset
        self._asked[partition] = 0.0
        self._metrics.out_of_range.set(len(self))

    def forget(self, partition: Partition) -> None:
        """Note that ``partition`` is read again, or is no longer ours."""
        self._offsets.pop(partition, None)
        self._asked.pop(partition, None)
        self._metrics.out_of_range.set(len(self))

    def restarts(self, now: float) -> dict[Partition, int]:
        """Return where partitions go on from now; what is lost with that, and what stands, is logged once."""
        found: dict[Partition, int] = {}
        for one in self._due(now):
            span = self._source.span(one)
            if span is None:
                self._rests_until = now + 2 * ASK_EVERY
                break
            offset = self._decided(one, span)
            if offset is not None:
                found[one] = offset
        return found

    def _due(self, now: float) -> Iterator[Partition]:
        """Yield what is to be asked about, what waits longest first: where nobody answers, one wait is enough."""
        due = [one for one, asked in self._asked.items() if now - asked >= ASK_EVERY and now >= self._rests_until]
        for one in sorted(due, key=self._asked.__getitem__):
            self._asked[one] = now
            yield one

    def _decided(self, partition: Partition, span: Span) -> int | None:
        offset = restart(self._wish, span)
        self._tell(partition, span, offset)
        del self._asked[partition]
        return offset

    def _tell(self, partition: Partition, span: Span, offset: int | None) -> None:
        at = self._offsets[partition]
        is_there = span.start <= at <= span.end
        what = f"the log was cut and written anew before offset {at}" if is_there else f"offset {at} no longer exists"
        gone = f"{partition[0]}/{partition[1]}: {what}, the log has {span.start} to {span.end}"
        if offset is None:
            log.error("%s; the partition stops, others go on (onOffsetLost: %s)", gone, self._wish)
        else:
            log.error("%s; the partition goes on at %d (onOffsetLost: %s)", gone, offset, self._wish)
            self._metrics.restarted.inc()
