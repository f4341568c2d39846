"""Worlds of a Snapshot for plan tests, beside those of `worlds`."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

from headrace_operator.observed.kube import Resource
from headrace_operator.observed.snapshots import Notification, TopicsOfSnapshots
from headrace_operator.observed.world import SnapshotWorld
from headrace_operator.plan.actions import Action, SendSignal
from tests.operator import worlds

ROWS = {**worlds.CONNECTOR.spec, "capture": {"tables": ["public.outbox", "public.outboxx"]}}
OF_ROWS = tuple(worlds.resource("Connector", name, ROWS) for name in ("orders-rows", "orders-rowsx"))
"""Connectors of which either table of `SPECS` may be read, whichever of the two is named."""

SPECS: tuple[dict[str, Any], ...] = (
    {
        "connector": "orders-rows",
        "tables": ["public.outbox", "public.outboxx"],
        "type": "Blocking",
        "filter": [{"table": "public.outbox", "where": "id > 3"}],
    },
    {"connector": "orders-rows", "tables": ["public.outbox"], "paused": True},
    {"connector": "orders-rows", "tables": ["public.outbox"]},
)
"""Specs that have every field between them."""


def listening(**status: Any) -> Resource:
    """Return the Connector as it is accepted, runs, and is told of snapshots."""
    runs = {"type": "Running", "status": "True", "reason": "TasksRunning", "message": "All tasks run: 1."}
    known = {
        "accepted": {"generation": 1, "spec": worlds.CONNECTOR.spec},
        "conditions": [runs],
        "topicPrefix": "shop.orders-db",
        "signals": True,
        "snapshotTaken": True,
    }
    return dataclasses.replace(worlds.CONNECTOR, status={**known, **status})


def world(**changes: Any) -> SnapshotWorld:
    """Return a Snapshot that its connector was not asked for yet, and can be."""
    known: dict[str, Any] = {
        "resource": worlds.SNAPSHOT,
        "connector": listening(),
        "connect": worlds.CONNECT,
        "kafka": worlds.KAFKA,
        "others": (worlds.SNAPSHOT,),
        "topics": TopicsOfSnapshots(signals_end=3, notifications_end=5),
    }
    return SnapshotWorld(**{**known, **changes})


def notification(event: str, seconds: int = 0, *, about: str = "Incremental Snapshot", **data: str) -> Notification:
    """Return what a connector tells of the shop's Snapshot, so many seconds after `worlds.NOW`."""
    at = worlds.NOW + timedelta(seconds=seconds)
    return Notification(id="headrace-uid-earlier", about=about, event=event, at=at, data=data)


def after(world: SnapshotWorld, actions: tuple[Action, ...]) -> SnapshotWorld:
    """Return a Snapshot's world after its actions: what was asked for is done at once, of each table with ten rows."""
    for action in actions:
        if isinstance(action, SendSignal) and isinstance(world.topics, TopicsOfSnapshots):
            sent = json.loads(action.value)
            about = {"blocking": "Initial Snapshot"}.get(sent["data"]["type"], "Incremental Snapshot")
            named: dict[str, Any] = {"status": "SUCCEEDED", "total_rows_scanned": "10"}
            told = [
                notification("STARTED", about=about),
                *(
                    notification("TABLE_SCAN_COMPLETED", about=about, scanned_collection=table, **named)
                    for table in world.resource.spec["tables"]
                ),
                notification("COMPLETED", about=about),
            ]
            signals = frozenset({(sent["id"], sent["type"])})
            topics = dataclasses.replace(world.topics, signals=signals, notifications=tuple(told), read=9)
            world = dataclasses.replace(world, topics=topics)
    return world
