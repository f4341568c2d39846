"""Observing the backlog of a Consumer: offsets of its topics and its group, and what its own topics hold."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from datetime import datetime

from headrace import names
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import (
    BacklogSeen,
    Committed,
    Partition,
    PartitionSeen,
    Span,
    TopicSeen,
    TopicsSeen,
)
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.reconcile.backlog import History, Sample
from headrace_operator.reconcile.letters import Letters
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.lost import lost, whole

READING = "The dead letters are still being read."


def own_topics(resource: Resource) -> tuple[str, str, str]:
    """Return the names of a Consumer's retry, dead-letter and resolutions topics."""
    at = (resource.place, resource.name)
    return names.retry_topic(*at), names.dead_letter_topic(*at), names.resolutions_topic(*at)


async def backlog(
    resource: Resource, kafka: Kafka, topics: TopicsSeen, history: History, now: datetime, ready: int = 0
) -> BacklogSeen:
    """Read offsets and new records of a Consumer with so many ``ready`` replicas, and remember them in ``history``.

    Raises `HeadraceError`.
    """
    own = own_topics(resource)
    retry, dead, _ = own
    group = names.group(resource.place, resource.name)
    every = {(topic.name, number) for topic in topics.values() for number in range(topic.partitions)}
    handled = sorted(at for at in every if at[0] == retry or at[0] not in own)
    sources = [at for at in handled if at[0] != retry]
    spans, written, committed = await asyncio.gather(
        kafka.offsets(every), kafka.written(sources), kafka.committed(group, handled)
    )
    gone = await lost(kafka, group, committed, whole(spans, written))
    left = {at: _left(spans[at], None if at in gone else committed.get(at)) for at in handled if at[0] == retry}
    problem = await _read(resource, kafka, topics, {**spans, **left}, history.letters)
    parts = {
        at: _seen(at, spans[at], written.get(at, spans[at].end), committed.get(at), history.letters.waiting(at))
        for at in handled
    }
    parts |= {at: _lost(parts[at]) for at in gone}
    history.add(Sample(at=now, partitions=parts, ready=ready))
    counted = history.letters.count(dead) if dead in topics else None
    return BacklogSeen(
        at=now,
        partitions=tuple(_aged(at, part, history) for at, part in parts.items()),
        dead_letters_total=counted[0] if counted else None,
        dead_letters_outstanding=counted[1] if counted else None,
        dead_letters_unknown=problem or (READING if dead in topics and history.letters.unread() else None),
        loads=history.loads.look([one.load for one in committed.values() if one.load], now),
        origins=frozenset(one.origin for one in committed.values() if one.origin),
    )


async def _read(
    resource: Resource, kafka: Kafka, topics: TopicsSeen, spans: Mapping[Partition, Span], letters: Letters
) -> str | None:
    """Read what is new in the Consumer's own topics; return what went wrong."""
    own = own_topics(resource)
    _, dead, resolutions = own
    ids = tuple(topics[name].id for name in own if name in topics)
    letters.begin(ids, {at: span for at, span in spans.items() if at[0] in own})
    unread = letters.unread()
    if not unread:
        return None
    seen = await ask(kafka.read(names.group(resource.place, resource.name), unread))
    if isinstance(seen, Unknown):
        return seen.reason
    letters.take(seen, topics.get(dead, TopicSeen(name=dead, partitions=0)), resolutions)
    return None


def _left(span: Span, committed: Committed | None) -> Span:
    """Return what a group has not handled."""
    start = span.start if committed is None else min(max(committed.offset, span.start), span.end)
    return Span(start=start, end=span.end)


def _seen(at: Partition, span: Span, written: int, committed: Committed | None, waiting: int | None) -> PartitionSeen:
    told = committed or Committed(offset=span.start)
    return PartitionSeen(
        topic=at[0],
        partition=at[1],
        start=span.start,
        end=max(span.end, written),
        stable=span.end,
        committed=None if committed is None else committed.offset,
        done=told.done,
        retrying=told.retrying,
        held=told.held,
        stopped=told.stopped,
        waiting_keys=told.waiting_keys,
        lag_seconds=0.0,
        waiting=waiting,
    )


def _lost(part: PartitionSeen) -> PartitionSeen:
    """Return a partition whose committed offset says nothing of its log, nor what was told with it."""
    return dataclasses.replace(part, lost=True, done=0, retrying=0, held=0)


def _aged(at: Partition, part: PartitionSeen, history: History) -> PartitionSeen:
    if part.told_lag == 0:
        return part
    age = None if part.told_lag is None else history.age(at)
    return dataclasses.replace(part, lag_seconds=age.seconds if age else None, at_least=age.at_least if age else False)
