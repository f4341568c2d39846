"""One pass over one resource: observe, plan, record the status, tell what changed, act in order.

It must not know kopf. A failure of the world is logged and tried again later; a bug is logged with its traceback.
What is not recorded is not done; an action that failed is told by the status of the next pass.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace_operator.api.crd import MOST_ITEMS
from headrace_operator.clients.errors import HeadraceError, Retryable
from headrace_operator.clients.fence import fenced
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import failures, figures, needs, requests
from headrace_operator.plan.actions import Plan
from headrace_operator.reconcile.apart import apart
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.execute import BEGIN, execute, told
from headrace_operator.reconcile.lease import Lease
from headrace_operator.reconcile.planned import planned
from headrace_operator.reconcile.queue import Queue
from headrace_operator.reconcile.remote import Remote
from headrace_operator.reconcile.turns import Key
from headrace_operator.settings import Settings

LONGEST = 60.0
"""Longest back-off, in seconds; the first is one second, each next one twice as long."""

SOON = 1.0
"""Seconds after which a resource is looked at again whose status still shows a failure that is over."""

STANDBY = 0.5
"""Seconds after which a key is due again that was begun with while the Lease was short; without it none is."""

log = logging.getLogger(__name__)


@dataclass
class Loop:
    """Reconciles keys while this process holds the Lease."""

    remote: Remote
    lease: Lease
    settings: Settings
    fleet: Fleet
    tries: dict[Key, int] = field(default_factory=dict)
    failed: dict[Key, str | None] = field(default_factory=dict)
    recorded: dict[Key, float] = field(default_factory=dict)
    histories: dict[Key, History] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    looked: dict[Key, float] = field(default_factory=dict)
    term: int = 0

    def __post_init__(self) -> None:
        self.queue = Queue(self.reconcile, lambda key: self.places.get(key, ""), self.lease.held)

    async def reconcile(self, key: Key) -> None:
        """Make one pass over ``key``, in one term of the Lease, and say when the next one is due."""
        term = self.lease.term
        if not self.lease.held(BEGIN, term):
            self.queue.put(key, STANDBY)
            return
        begun = self._begin(key, term)
        try:
            with fenced(lambda seconds: self.lease.held(seconds, term)):
                again = await self._pass(key, term)
        except HeadraceError as error:
            wait = self._back_off(key, error)
            log.warning("%s; again in %.0f s", error, wait)
            self._end(key, begun, "failed", wait)
        except Exception:
            wait = self._back_off(key)
            log.exception("This is a bug; again in %.0f s", wait)
            self._end(key, begun, "bug", wait)
        else:
            self.tries.pop(key, None)
            self._end(key, begun, "ok", again)

    async def _pass(self, key: Key, term: int) -> float | None:
        resource = await self.remote.kube.resource(key.kind, key.namespace, key.name)
        if not isinstance(resource, Resource) or resource.deleting:
            self._forget(key)
            return None
        self.places[key] = needs.place(resource)
        now = datetime.now(UTC).replace(microsecond=0)
        history = self.histories[key] = self.histories.get(key, History()).at(now)
        remote = self.remote
        if requests.is_new(resource):
            history.look_anew()
            remote = self.remote.live
        plan, backlog = await planned(resource, remote, self.settings, history, now)
        failed = failures.standing(plan, self.failed.get(key, failures.recorded(resource)))
        self.failed[key] = failed
        plan = requests.acknowledged(failures.shown(plan, resource, failed, now), resource)
        await self._record(key, resource, plan, backlog, term)
        await self._notes(resource, plan, now, term)
        await self._act(key, plan, term)
        return SOON if failed and plan.actions else to_tick(plan.look_again.total_seconds(), time.monotonic())

    async def _record(self, key: Key, resource: Resource, plan: Plan, backlog: BacklogSeen | None, term: int) -> None:
        status = _pruned(plan.status)
        self.fleet.record(resource, status, backlog)
        if figures.due(resource.status, status, self._since(key)):
            await self._may("record the status", term)
            await self.remote.kube.write_status(resource, status)
            self.recorded[key] = time.monotonic()

    def _since(self, key: Key) -> float | None:
        at = self.recorded.get(key)
        return None if at is None else time.monotonic() - at

    async def _notes(self, resource: Resource, plan: Plan, now: datetime, term: int) -> None:
        for note in plan.notes:
            log.info("%s: %s", note.reason, note.message)
            await self._may("post an Event", term)
            try:
                await self.remote.kube.note(resource, kind=note.type, reason=note.reason, message=note.message, now=now)
            except HeadraceError as error:
                log.warning("An Event was not posted: %s", error)

    async def _act(self, key: Key, plan: Plan, term: int) -> None:
        for action in plan.actions:
            await self._may(told(action), term)
            log.info("%s", told(action))
            try:
                await execute(action, self.remote)
            except HeadraceError as error:
                self.failed[key] = f"Could not {told(action)}: {error}"
                raise
        if plan.actions:
            self.failed[key] = None

    async def _may(self, what: str, term: int) -> None:
        if not await self.lease.lasts(BEGIN, term):
            raise Retryable(f"did not {what}: the Lease may end meanwhile")

    def _back_off(self, key: Key, error: HeadraceError | None = None) -> float:
        count = self.tries[key] = self.tries.get(key, 0) + 1
        wait = min(LONGEST, 2.0 ** (count - 1))
        asked = error.after.total_seconds() if isinstance(error, Retryable) and error.after else 0.0
        return max(wait, asked)

    def _begin(self, key: Key, term: int) -> float:
        if term != self.term:
            self._forget_term(term)
        begun = time.monotonic()
        if key in self.looked:
            self.fleet.looked_again(key.kind, begun - self.looked[key])
        self.looked[key] = begun
        return begun

    def _end(self, key: Key, begun: float, outcome: str, again: float | None) -> None:
        self.fleet.pass_ended(key.kind, outcome, time.monotonic() - begun)
        if again is not None:
            self.queue.put(key, again)

    def _forget_term(self, term: int) -> None:
        """Forget what was remembered of a term before ``term``: another operator may have acted since."""
        self.term = term
        for remembered in (self.tries, self.failed, self.recorded, self.histories, self.looked):
            remembered.clear()

    def _forget(self, key: Key) -> None:
        self.tries.pop(key, None)
        self.failed.pop(key, None)
        self.recorded.pop(key, None)
        self.histories.pop(key, None)
        self.places.pop(key, None)
        self.looked.pop(key, None)
        if key.kind == "KafkaConnection":
            self.remote.kafkas.forget(key.namespace, key.name)
        self.fleet.forget(key.kind, key.namespace, key.name)


def to_tick(seconds: float, now: float) -> float:
    """Return the wait to a multiple of ``seconds``, from half to one and a half of them away.

    So all that is looked at as often is looked at together, and asks its Kafka in one round.
    """
    rest = seconds - now % seconds
    return rest if rest >= seconds / 2 else rest + seconds


def _pruned(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``status`` without fields that are None, as Kubernetes says so, and with no list beyond its bound."""
    return {name: _bounded(value) for name, value in status.items() if value is not None}


def _bounded(value: Any) -> Any:
    return value[:MOST_ITEMS] if isinstance(value, list | tuple) else value


async def run(loop: Loop, hold: Callable[[], Awaitable[None]]) -> None:
    """Hold the Lease and work through the queue until cancelled; raises the bug that ended either."""
    async with asyncio.TaskGroup() as group:
        group.create_task(apart(hold))
        group.create_task(loop.queue.run())
