"""The plan of any resource: what is read of it, and what is decided. It writes nothing."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connectcluster, connector, consumer, kafkaconnection, moved, outboxrelay, snapshot
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.observe import captured_topics, contracts
from headrace_operator.reconcile.observe import connections as observe_connections
from headrace_operator.reconcile.observe import connector as observe_connector
from headrace_operator.reconcile.observe import consumer as observe_consumer
from headrace_operator.reconcile.observe import outboxrelay as observe_outboxrelay
from headrace_operator.reconcile.observe import snapshot as observe_snapshot
from headrace_operator.reconcile.remote import Remote
from headrace_operator.settings import Settings


async def planned(
    resource: Resource, remote: Remote, settings: Settings, history: History, now: datetime
) -> tuple[Plan, BacklogSeen | None]:
    """Observe ``resource`` and plan; what was seen is added to ``history``, and a Consumer's backlog is returned."""
    if (held := moved.plan(resource, now)) is not None:
        return held, None
    match resource.kind:
        case "KafkaConnection":
            seen = await observe_connections.kafka_connection(resource, remote)
            return kafkaconnection.plan(seen, settings, now), None
        case "ConnectCluster":
            workers = await observe_connections.connect_cluster(resource, remote)
            left = await contracts.all_of(resource, remote, history, now)
            return connectcluster.plan(dataclasses.replace(workers, contracts=left), settings, now), None
        case "Connector":
            running = await observe_connector.connector(
                resource, remote, history.progress, now, settings.watch_namespaces
            )
            captured = await captured_topics.seen(running, remote, history.captured, now)
            return connector.plan(dataclasses.replace(running, captured=captured), settings, now), None
        case "OutboxRelay":
            relayed = await observe_outboxrelay.outbox_relay(resource, remote, watches_all=settings.watches_all)
            left = await contracts.all_of(resource, remote, history, now)
            return outboxrelay.plan(dataclasses.replace(relayed, contracts=left), settings, now), None
        case "Snapshot":
            return snapshot.plan(await observe_snapshot.snapshot(resource, remote), settings, now), None
        case _:
            return await _consumer(resource, remote, settings, history, now)


async def _consumer(
    resource: Resource, remote: Remote, settings: Settings, history: History, now: datetime
) -> tuple[Plan, BacklogSeen | None]:
    seen = await observe_consumer.consumer(resource, remote, history, now, watches_all=settings.watches_all)
    asked = consumer.wish(seen)
    children = await contracts.beside(seen.children, asked.contract, remote)
    left = await contracts.all_of(resource, remote, history, now)
    world = dataclasses.replace(seen, children=children, contracts=left)
    backlog = seen.backlog if isinstance(seen.backlog, BacklogSeen) else None
    return consumer.plan(world, settings, now, asked), backlog
