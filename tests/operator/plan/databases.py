"""Worlds of a Connector whose database a source agent tells of, in each state that is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from headrace_operator.observed.connect import ConnectorSeen, TaskSeen
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.world import ConnectorWorld
from headrace_operator.plan import connector
from headrace_operator.plan.actions import Plan
from tests.fakes import agent
from tests.operator import worlds

SPEC = {"kafka": "kafka", "workers": {}, "agent": {"enabled": True}}
WATCHED = dataclasses.replace(worlds.CONNECT, spec=SPEC, status={"accepted": {"generation": 1, "spec": SPEC}})
TABLES = {**worlds.CONNECTOR.spec, "capture": {"tables": ["public.a", "public.B"]}}
ROWS = worlds.resource("Connector", "orders-db", TABLES)
WELL: dict[str, Any] = {"public.a": {}, "public.B": {}}
LACKS: tuple[tuple[Mapping[str, Any], str, str], ...] = (
    ({"tables": {"public.a": None, "public.B": {}}}, "TableMissing", "no table public.a in database shop"),
    ({"tables": WELL | {"public.a": {"kind": "View"}}}, "TableNotCapturable", "public.a is a View"),
    ({"tables": WELL | {"public.a": {"unlogged": True}}}, "TableNotCapturable", "ALTER TABLE public.a SET LOGGED"),
    ({"tables": WELL | {"public.B": {"selectable": False}}}, "RightMissing", 'GRANT SELECT ON public."B" TO shop'),
    (
        {"tables": WELL | {"public.B": {"unidentified": ("public.B",), "published": False}}},
        "TableWithoutKey",
        'ALTER TABLE public."B" REPLICA IDENTITY FULL',
    ),
    ({"server": agent.seen(agent.SERVER | {"wal_level": "replica"})}, "WalLevelTooLow", "SET wal_level = 'logical'"),
    (
        {"server": agent.seen(agent.SERVER | {"slots": 10}), "slot": agent.seen(None)},
        "NoSlotLeft",
        "SET max_replication_slots = 20",
    ),
    (
        {"server": agent.seen(agent.SERVER | {"senders": 10}), "slot": agent.seen(None)},
        "NoSlotLeft",
        "SET max_wal_senders = 20",
    ),
    ({"login": agent.seen(agent.LOGIN | {"replication": False})}, "RightMissing", "ALTER ROLE shop REPLICATION"),
)

LOST: tuple[Mapping[str, Any], ...] = (
    {"wal_status": "lost", "active": False},
    {"invalidation_reason": "wal_removed", "active": False},
)


def world(source: Any = None, **changes: Any) -> ConnectorWorld:
    """Return a Connector of workers with an agent that tells of ``source``, and that Connect does not have yet."""
    told = agent.source() if source is None else source
    return worlds.connector_world(**{"connect": WATCHED, "source": told, **changes})


def planned(seen: ConnectorWorld) -> Plan:
    """Return the plan."""
    return connector.plan(seen, worlds.SETTINGS, worlds.NOW)


def running(seen: ConnectorWorld, lsn: int = 0x1800, **changes: Any) -> ConnectorWorld:
    """Return the world once the connector runs what was accepted, and has committed a position."""
    for _ in range(2):
        plan = planned(seen)
        seen = worlds.with_status(worlds.after_connector(seen, plan.actions), plan.status)
    assert isinstance(seen.seen, ConnectorSeen), plan.status["conditions"]
    offsets = ({"partition": {"server": "x"}, "offset": {"lsn": lsn, "txId": 7}},)
    return dataclasses.replace(seen, seen=dataclasses.replace(seen.seen, offsets=offsets), **changes)


def without_slot(resource: Resource, slot: Any) -> ConnectorWorld:
    """Return the world of a connector whose slot is ``slot``, so that its task fails, and may be restarted now."""
    there = running(world(resource=resource), source=agent.source(slot=agent.seen(slot)))
    assert isinstance(there.seen, ConnectorSeen)
    task = TaskSeen(id=0, state="FAILED", worker="w", trace="no longer available on the server")
    due = {**there.resource.status, "restarts": {"attempts": 1, "nextTime": "2026-01-02T03:04:00Z"}}
    return worlds.with_status(dataclasses.replace(there, seen=dataclasses.replace(there.seen, tasks=(task,))), due)
