"""One pass over one resource: observe, plan, record the status, tell what changed, act in order.

It must not know kopf. A failure of the world is logged and tried again later; a bug is logged with its traceback.
What is not recorded is not done; an action that failed is told by the status of the next pass.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace_operator.api.crd import MOST_ITEMS
from headrace_operator.clients.errors import Fenced, HeadraceError, Retryable
from headrace_operator.clients.fence import fenced
from headrace_operator.metrics import Fleet
from headrace_operator.observed.kafka import BacklogSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Absent
from headrace_operator.plan import children, failures, figures, needs, requests
from headrace_operator.plan.actions import Note, Plan
from headrace_operator.reconcile.apart import apart
from headrace_operator.reconcile.backlog import History
from headrace_operator.reconcile.execute import BEGIN, execute, told
from headrace_operator.reconcile.lease import Lease
from headrace_operator.reconcile.pace import Pace
from headrace_operator.reconcile.planned import planned
from headrace_operator.reconcile.queue import Queue
from headrace_operator.reconcile.remote import Remote
from headrace_operator.reconcile.turns import Key
from headrace_operator.settings import Settings

LONGEST = 60.0
"""Longest back-off, in seconds; the first is one second, each next one twice as long."""

DOUBLINGS = 6
"""How often it is doubled at most: a resource may fail thousands of times."""

SOON = 1.0
"""Seconds after which a resource is looked at again whose status still shows a failure that is over."""

STANDBY = 0.5
"""Seconds after which a key is due again that was begun with while the Lease was short; without it none is."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a resource's world was seen to ask for at ``now``; the last try to act has ``failed`` so.

    ``status`` is as Kubernetes keeps it, and ``due`` to be written or not.
    """

    resource: Resource
    plan: Plan
    status: Mapping[str, Any]
    due: bool
    backlog: BacklogSeen | None
    failed: str | None
    now: datetime

    @property
    def writes(self) -> bool:
        """Whether anything follows from it."""
        return bool(self.due or self.plan.notes or self.plan.actions)


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
    cut: dict[Key, tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)
    histories: dict[Key, History] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    looked: dict[Key, float] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
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
        except Fenced as error:
            log.info("%s; again once it is held", error)
            self.queue.put(key, STANDBY)
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
        """Plan by the resource as it is remembered, and anew where what there is to write rests on what is over."""
        resource = await self.remote.near.resource(key.kind, key.namespace, key.name)
        look = await self._look(key, resource)
        if look is not None and look.writes:
            latest = await self.remote.kube.resource(key.kind, key.namespace, key.name)
            look = look if latest == resource else await self._look(key, latest)
        if look is None:
            self._forget(key)
            return None
        self.failed[key] = look.failed
        self.fleet.record(look.resource, look.status, look.backlog)
        await self._record(key, look, term)
        await self._notes(look, term)
        await self._act(key, look.plan, term)
        again = self.pace.next(key, look.plan.look_again.total_seconds(), self.looked[key])
        return SOON if look.failed and look.plan.actions else again - time.monotonic()

    async def _look(self, key: Key, resource: Resource | Absent) -> Look | None:
        """Observe and plan; None where there is nothing to plan for.

        What has the name of a child may be remembered of one that is gone: it is read anew before it is told of.
        """
        if not isinstance(resource, Resource) or resource.deleting:
            return None
        resource = self._as_recorded(key, resource)
        self.places[key] = needs.place(resource)
        now = datetime.now(UTC).replace(microsecond=0)
        history = self.histories[key] = self.histories.get(key, History()).at(now)
        remote = self.remote
        if requests.is_new(resource):
            history.look_anew()
            remote = self.remote.live
        plan, backlog = await planned(resource, remote, self.settings, history, now)
        if remote is self.remote and children.is_taken(plan.status):
            plan, backlog = await planned(resource, remote.live, self.settings, history, now)
        failed = failures.standing(plan, self.failed.get(key, failures.recorded(resource)))
        plan = requests.acknowledged(failures.shown(plan, resource, failed, now), resource)
        status = _pruned(plan.status)
        due = figures.due(resource.status, status, self._since(key))
        return Look(resource=resource, plan=plan, status=status, due=due, backlog=backlog, failed=failed, now=now)

    async def _record(self, key: Key, look: Look, term: int) -> None:
        if look.due:
            await self._may("record the status", term)
            kept = await self.remote.kube.write_status(look.resource, look.status)
            self.recorded[key] = time.monotonic()
            self.cut.pop(key, None)
            if kept != look.status:
                self.cut[key] = (kept, look.status)
        self.recorded.setdefault(key, time.monotonic())

    def _as_recorded(self, key: Key, resource: Resource) -> Resource:
        """Return ``resource`` with the status that was written, while there is what the API server left of that.

        Definitions that are older than this operator lack fields, which it drops from each status.
        """
        kept, written = self.cut.get(key, (None, None))
        return dataclasses.replace(resource, status=written) if written and kept == resource.status else resource

    def _since(self, key: Key) -> float | None:
        at = self.recorded.get(key)
        return None if at is None else time.monotonic() - at

    async def _notes(self, look: Look, term: int) -> None:
        for note in look.plan.notes:
            log.info("%s: %s", note.reason, note.message)
            try:
                await self._post(look, note, term)
            except Fenced:
                raise
            except HeadraceError as error:
                log.warning("An Event was not posted: %s", error)

    async def _post(self, look: Look, note: Note, term: int) -> None:
        """Post an Event, as soon as the Lease is not too short for it: the status is recorded, no later pass would."""
        about, now = look.resource, look.now
        while True:
            await self._may("post an Event", term)
            with suppress(Fenced):
                return await self.remote.kube.note(
                    about, kind=note.type, reason=note.reason, message=note.message, now=now
                )

    async def _act(self, key: Key, plan: Plan, term: int) -> None:
        for action in plan.actions:
            await self._may(told(action), term)
            log.info("%s", told(action))
            try:
                await execute(action, self.remote)
            except Fenced:
                raise
            except HeadraceError as error:
                self.failed[key] = f"Could not {told(action)}: {error}"
                raise
        if plan.actions:
            self.failed[key] = None

    async def _may(self, what: str, term: int) -> None:
        if not await self.lease.lasts(BEGIN, term):
            raise Fenced(f"did not {what}: the Lease may end meanwhile")

    def _back_off(self, key: Key, error: HeadraceError | None = None) -> float:
        count = self.tries[key] = self.tries.get(key, 0) + 1
        wait = min(LONGEST, 2.0 ** min(count - 1, DOUBLINGS))
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
        for remembered in (self.tries, self.failed, self.recorded, self.cut, self.histories, self.looked):
            remembered.clear()

    def _forget(self, key: Key) -> None:
        self.tries.pop(key, None)
        self.failed.pop(key, None)
        self.recorded.pop(key, None)
        self.cut.pop(key, None)
        self.histories.pop(key, None)
        self.places.pop(key, None)
        self.looked.pop(key, None)
        self.pace.forget(key)
        if key.kind == "KafkaConnection":
            self.remote.kafkas.forget(key.namespace, key.name)
        self.fleet.forget(key.kind, key.namespace, key.name)


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
