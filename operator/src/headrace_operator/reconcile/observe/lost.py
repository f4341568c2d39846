"""Observing which committed offsets lie outside of their logs, so that nothing there can go on at them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import Committed, Partition, Span

Logs = Mapping[Partition, Span]


async def lost(kafka: Kafka, group: str, committed: Mapping[Partition, Committed], logs: Logs) -> frozenset[Partition]:
    """Return the partitions whose committed offset no longer exists, out of ``committed`` by ``logs``.

    Offsets and logs are asked at the same time, and move: what seems to be lost is asked again, and is lost where the
    same offset was committed before and after. Raises `HeadraceError`.
    """
    suspects = sorted(at for at, seen in committed.items() if is_outside(seen, logs[at]))
    if not suspects:
        return frozenset()
    again, now = await asyncio.gather(kafka.committed(group, suspects), read_logs(kafka, suspects))
    return frozenset(
        at
        for at in suspects
        if at in again and again[at].offset == committed[at].offset and is_outside(again[at], now[at])
    )


async def read_logs(kafka: Kafka, partitions: list[Partition]) -> Logs:
    """Read what logs have, with what an open transaction has written."""
    spans, written = await asyncio.gather(kafka.offsets(partitions), kafka.written(partitions))
    return whole(spans, written)


def whole(spans: Logs, written: Mapping[Partition, int]) -> Logs:
    """Return ``spans`` up to what was ``written``, where that was asked."""
    return {
        at: Span(start=span.start, end=end) if (end := written.get(at, 0)) > span.end else span
        for at, span in spans.items()
    }


def is_outside(committed: Committed, log: Span) -> bool:
    """Tell whether an offset is neither in the log nor the next one of it."""
    return not log.start <= committed.offset <= log.end
