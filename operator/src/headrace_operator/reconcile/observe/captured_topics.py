"""Observing which topics of a Connector's tables are not there yet."""

from __future__ import annotations

from datetime import datetime

from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import captured_topics
from headrace_operator.reconcile.looks import Looks
from headrace_operator.reconcile.observe.asking import ask
from headrace_operator.reconcile.observe.connections import kafka_reference
from headrace_operator.reconcile.remote import Remote


async def missing(
    world: ConnectorWorld, remote: Remote, looks: Looks[tuple[str, ...]], now: datetime
) -> tuple[str, ...]:
    """Return the topics that Kafka was seen just now not to have; none where nobody was asked, or answered."""
    wanted = captured_topics.of_tables(world.resource)
    if not wanted or not isinstance(world.connect, Resource) or not looks.due(wanted, now):
        return ()
    connection = await kafka_reference(remote, world.resource.namespace, world.connect.spec.get("kafka"))
    if not isinstance(connection, Resource):
        return ()
    kafka = await ask(remote.kafkas.open(connection))
    seen = kafka if isinstance(kafka, Unknown) else await ask(kafka.topics(wanted))
    if isinstance(seen, Unknown):
        return ()
    absent = tuple(name for name in wanted if name not in seen)
    looks.take(wanted, absent, now, is_right=not absent)
    return absent
