"""Snapshots of a Connector on a real Kafka Connect, beside `capturing`: each pass observes, plans, records and acts."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from headrace_operator.plan import snapshot as plan
from headrace_operator.reconcile.observe import snapshot as observe
from tests.operator import worlds
from tests.operator.capturing import Capturing
from tests.waiting import PATIENCE

_numbers = itertools.count()


def apply(shop: Capturing, name: str, **spec: Any) -> None:
    """Make a Snapshot of the shop's Connector, or edit it, as ``kubectl apply`` does."""
    wanted = {"connector": shop.name, **spec}
    old = shop.shelf.objects.get(("Snapshot", name))
    number = next(_numbers)
    new = worlds.resource("Snapshot", name, wanted, uid=f"{shop.name}-{name}-{number}", created=f"{number:09}")
    changed = 0 if old is None else int(old.spec != wanted)
    shop.shelf.put(dataclasses.replace(old, spec=wanted, generation=old.generation + changed) if old else new)


def status(shop: Capturing, name: str) -> dict[str, Any]:
    """Return the status of a Snapshot as it was recorded last."""
    return dict(shop.shelf.objects["Snapshot", name].status)


def condition(shop: Capturing, name: str, kind: str) -> dict[str, Any]:
    """Return a condition of it, empty when it has none."""
    return dict(shop.shelf.objects["Snapshot", name].condition(kind) or {})


async def look(shop: Capturing, name: str) -> int:
    """Make a pass over a Snapshot, and return how many actions it had."""
    resource = shop.shelf.objects["Snapshot", name]
    made = plan.plan(await observe.snapshot(resource, shop.remote), worlds.SETTINGS, datetime.now(UTC))
    await shop._do(resource, made)
    return len(made.actions)


async def until(
    shop: Capturing, name: str, holds: Callable[[dict[str, Any]], object], *, alone: bool = False
) -> dict[str, Any]:
    """Make passes over Connector and Snapshot, or that ``alone``, until ``holds`` is true of the Snapshot's status."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if not alone:
            await shop.look(shop.name)
        await look(shop, name)
        told = status(shop, name)
        if holds(told):
            return told
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {told}"
        await asyncio.sleep(0.2)
