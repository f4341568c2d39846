"""One pass over one resource: observe, plan, record the status, tell what changed, act in order.

It must not know kopf. A failure of the world is logged and tried again later; a bug is logged with its traceback.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace_operator.clients.errors import HeadraceError, Retryable
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import connectcluster, connector, consumer, kafkaconnection
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.execute import DEADLINE, execute, told
from headrace_operator.reconcile.lease import Lease
from headrace_operator.reconcile.observe import connections as observe_connections
from headrace_operator.reconcile.observe import connector as observe_connector
from headrace_operator.reconcile.observe import consumer as observe_consumer
from headrace_operator.reconcile.queue import Key, Queue
from headrace_operator.reconcile.remote import Remote
from headrace_operator.settings import Settings

LONGEST = 60.0
"""Longest back-off, in seconds; the first is one second, each next one twice as long."""

STANDBY = 2.0
"""Seconds after which a process that does not hold the Lease looks again."""

log = logging.getLogger(__name__)


@dataclass
class Loop:
    """Reconciles keys while this process holds the Lease."""

    remote: Remote
    lease: Lease
    settings: Settings
    fleet: Fleet
    failures: dict[Key, int] = field(default_factory=dict)
    histories: dict[Key, History] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queue = Queue(self.reconcile)

    async def reconcile(self, key: Key) -> None:
        """Make one pass over ``key`` and say when the next one is due."""
        if not self.lease.held(DEADLINE):
            self.queue.put(key, STANDBY)
            return
        begun = time.monotonic()
        try:
            again = await self._pass(key)
        except HeadraceError as error:
            wait = self._back_off(key, error)
            log.warning("%s: %s; again in %.0f s", key, error, wait)
            self._end(key, begun, "failed", wait)
        except Exception:
            wait = self._back_off(key)
            log.exception("%s: this is a bug; again in %.0f s", key, wait)
            self._end(key, begun, "bug", wait)
        else:
            self.failures.pop(key, None)
            self._end(key, begun, "ok", again)

    async def _pass(self, key: Key) -> float | None:
        resource = await self.remote.kube.resource(key.kind, key.namespace, key.name)
        if not isinstance(resource, Resource) or resource.deleting:
            self._forget(key)
            return None
        now = datetime.now(UTC).replace(microsecond=0)
        plan, backlog = await self._plan(key, resource, now)
        status = _pruned(plan.status)
        self.fleet.record(resource, status, backlog)
        if status != resource.status and self.lease.held(DEADLINE):
            await self.remote.kube.write_status(resource, status)
        await self._notes(resource, plan, now)
        await self._act(key, plan)
        return plan.look_again.total_seconds()

    async def _plan(self, key: Key, resource: Resource, now: datetime) -> tuple[Plan, BacklogSeen | None]:
        match resource.kind:
            case "KafkaConnection":
                seen = await observe_connections.kafka_connection(resource, self.remote)
                return kafkaconnection.plan(seen, self.settings, now), None
            case "ConnectCluster":
                workers = await observe_connections.connect_cluster(resource, self.remote)
                return connectcluster.plan(workers, self.settings, now), None
            case "Connector":
                running = await observe_connector.connector(resource, self.remote)
                return connector.plan(running, self.settings, now), None
            case _:
                history = self.histories.setdefault(key, History())
                world = await observe_consumer.consumer(resource, self.remote, history, now)
                backlog = world.backlog if isinstance(world.backlog, BacklogSeen) else None
                return consumer.plan(world, self.settings, now), backlog

    async def _notes(self, resource: Resource, plan: Plan, now: datetime) -> None:
        for note in plan.notes:
            log.info("%s %s/%s: %s: %s", resource.kind, resource.namespace, resource.name, note.reason, note.message)
            if not self.lease.held(DEADLINE):
                return
            try:
                await self.remote.kube.note(resource, kind=note.type, reason=note.reason, message=note.message, now=now)
            except HeadraceError as error:
                log.warning("An Event was not posted: %s", error)

    async def _act(self, key: Key, plan: Plan) -> None:
        for action in plan.actions:
            if not self.lease.held(DEADLINE):
                raise Retryable(f"did not {told(action)}: the Lease may end meanwhile")
            log.info("%s: %s", key, told(action))
            await execute(action, self.remote)

    def _back_off(self, key: Key, error: HeadraceError | None = None) -> float:
        count = self.failures[key] = self.failures.get(key, 0) + 1
        wait = min(LONGEST, 2.0 ** (count - 1))
        asked = error.after.total_seconds() if isinstance(error, Retryable) and error.after else 0.0
        return max(wait, asked)

    def _end(self, key: Key, begun: float, outcome: str, again: float | None) -> None:
        self.fleet.pass_ended(key.kind, outcome, time.monotonic() - begun)
        if again is not None:
            self.queue.put(key, again)

    def _forget(self, key: Key) -> None:
        self.failures.pop(key, None)
        self.histories.pop(key, None)
        if key.kind == "KafkaConnection":
            self.remote.kafkas.forget(key.namespace, key.name)
        self.fleet.forget(key.kind, key.namespace, key.name)


def _pruned(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``status`` without fields that are None: an absent field is how Kubernetes says so."""
    return {name: value for name, value in status.items() if value is not None}


async def run(loop: Loop) -> None:
    """Hold the Lease and work through the queue until cancelled; raises the bug that ended either."""
    async with asyncio.TaskGroup() as group:
        group.create_task(loop.lease.run())
        group.create_task(loop.queue.run())
