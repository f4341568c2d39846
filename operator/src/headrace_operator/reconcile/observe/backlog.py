"""Observing the backlog of a Consumer: offsets of its topics and its group, and what its own topics hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from headrace import names
from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import BacklogSeen, Partition, PartitionSeen, Span, TopicsSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.reconcile.backlog import History, Sample
from headrace_operator.reconcile.letters import Letters
from headrace_operator.reconcile.observe.asking import ask

READING = "The dead letters are still being read."


def own_topics(resource: Resource) -> tuple[str, str, str]:
    """Return the names of a Consumer's retry, dead-letter and resolutions topics."""
    at = (resource.namespace, resource.name)
    return names.retry_topic(*at), names.dead_letter_topic(*at), names.resolutions_topic(*at)


async def backlog(resource: Resource, kafka: Kafka, topics: TopicsSeen, history: History, now: datetime) -> BacklogSeen:
    """Read offsets and new records of a Consumer, and remember them in ``history``; raises `HeadraceError`."""
    retry, dead, _ = own_topics(resource)
    group = names.group(resource.namespace, resource.name)
    every = {(topic.name, number) for topic in topics.values() for number in range(topic.partitions)}
    handled = sorted(at for at in every if at[0] == retry or at[0] not in own_topics(resource))
    spans, committed = await asyncio.gather(kafka.offsets(every), kafka.committed(group, handled))
    left = {at: _left(spans[at], committed.get(at)) for at in handled}
    problem = await _read(resource, kafka, topics, {**spans, **left}, history.letters)
    waiting = {at: history.letters.waiting(at) for at in handled}
    history.add(Sample(at=now, partitions={at: _progress(left[at], waiting[at]) for at in handled}))
    counted = history.letters.count(dead) if dead in topics else None
    return BacklogSeen(
        at=now,
        partitions=tuple(_seen(at, spans[at], committed.get(at), waiting[at], history) for at in handled),
        dead_letters_total=counted[0] if counted else None,
        dead_letters_outstanding=counted[1] if counted else None,
        dead_letters_unknown=problem or (READING if dead in topics and history.letters.unread() else None),
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
    seen = await ask(kafka.read(names.group(resource.namespace, resource.name), unread))
    if isinstance(seen, Unknown):
        return seen.reason
    letters.take(seen, dead, resolutions)
    return None


def _left(span: Span, committed: int | None) -> Span:
    """Return what a group has not handled."""
    start = span.start if committed is None else min(max(committed, span.start), span.end)
    return Span(start=start, end=span.end)


def _progress(left: Span, waiting: int | None) -> tuple[int, int]:
    """Return the next offset to write and the next to handle: nothing is left where no record waits."""
    return left.end, left.end if waiting == 0 else left.start


def _seen(at: Partition, span: Span, committed: int | None, waiting: int | None, history: History) -> PartitionSeen:
    age = history.age(at)
    return PartitionSeen(
        topic=at[0],
        partition=at[1],
        start=span.start,
        end=span.end,
        committed=committed,
        lag_seconds=age.seconds if age else None,
        at_least=age.at_least if age else False,
        waiting=waiting,
    )
