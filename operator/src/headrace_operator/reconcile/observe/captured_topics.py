"""Observing the topics of a Connector: which of its tables' are missing, and how large a record others take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime

from headrace_operator.clients.kafka import Kafka
from headrace_operator.observed.kafka import CapturedSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import captured_topics, own_topics
from headrace_operator.reconcile.looks import Looks
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import kafka_reference
from headrace_operator.reconcile.remote import Remote


async def seen(world: ConnectorWorld, remote: Remote, looks: Looks[CapturedSeen], now: datetime) -> CapturedSeen:
    """Return what Kafka said just now; nothing where it was not asked, or did not answer."""
    resource, nothing = world.resource, CapturedSeen()
    tables, sized = captured_topics.of_tables(resource), captured_topics.sized(resource)
    about = (tables, sized, resource.generation)
    if not (tables or sized) or not isinstance(world.connect, Resource) or not looks.due(about, now):
        return nothing
    connection = await kafka_reference(remote, resource.namespace, world.connect.spec.get("kafka"))
    if not isinstance(connection, Resource):
        return nothing
    kafka = await ask(remote.kafkas.open(connection))
    there = kafka if isinstance(kafka, Unknown) else await ask(kafka.topics({*tables, *sized}))
    if isinstance(kafka, Unknown) or isinstance(there, Unknown):
        return nothing
    sizes = await _sizes(kafka, (name for name in sized if name in there))
    found = CapturedSeen(missing=tuple(name for name in tables if name not in there), sizes=sizes)
    is_right = not found.missing and not _narrow(resource, sizes)
    looks.take(about, found, now, is_right=is_right)
    return found


async def _sizes(kafka: Kafka, topics: Iterable[str]) -> Mapping[str, int]:
    names = tuple(topics)
    found = zip(names, await asyncio.gather(*(ask(kafka.settings(name)) for name in names)), strict=True)
    told = {name: one.get(own_topics.SIZE, "") for name, one in found if not isinstance(one, Unknown)}
    return {name: int(size) for name, size in told.items() if size.isdecimal()}


def _narrow(resource: Resource, sizes: Mapping[str, int]) -> bool:
    largest = (resource.spec.get("topics") or {}).get("maxRecordBytes")
    return any(size < largest for size in sizes.values()) if isinstance(largest, int) else False
