"""Observing the settings of a Consumer's topics, its sources' and its own."""

from __future__ import annotations

import asyncio
from datetime import datetime

from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import SettingsSeen, TopicsSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import own_topics
from headrace_operator.reconcile.looks import Looks
from headrace_operator.reconcile.observe.asking import ask


async def settings(
    resource: Resource,
    kafka: Kafka,
    sources: tuple[str, ...],
    topics: TopicsSeen,
    looks: Looks[own_topics.Settings],
    now: datetime,
) -> SettingsSeen:
    """Return the settings of those of ``topics`` that exist; asks Kafka when ``looks`` says that it is time."""
    about = (resource.generation, frozenset((one.name, one.id, one.partitions) for one in topics.values()))
    if not looks.due(about, now):
        return SettingsSeen(of=looks.of, fresh=False)
    names = sorted(topics)
    found = dict(zip(names, await asyncio.gather(*(ask(kafka.settings(name)) for name in names)), strict=True))
    is_right = False
    if sources and all(source in topics for source in sources):
        own = own_topics.wanted(resource, sources, topics, found)
        said = own_topics.finding(own, sources, topics, found)
        is_right = said is not None and said.status == "True"
    looks.take(about, found, now, is_right=is_right)
    return SettingsSeen(of=found, fresh=True)
