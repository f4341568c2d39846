"""Which part of a status only counts, and how often that is written: a busy pipeline must not keep the API server busy.

Pure: `due` is told how long ago the status was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVERY = 10.0
"""Seconds between two writes of figures or of sentences alone; whatever else changes is written at once."""

SELDOM = 600.0
"""Seconds between two writes of offsets alone, which each heartbeat moves, also of a database that rests."""

FIGURES = ("lag", "lagSeconds", "offsets")
SCALING = ("message", "fewerSince", "capacityTime", "arrivalsPerSecond", "handledPerSecond", "capacityPerReplica")


def due(before: Mapping[str, Any], after: Mapping[str, Any], since: float | None) -> bool:
    """Tell whether ``after`` is to be written over ``before``, ``since`` seconds after the last write, None: never."""
    if before == after:
        return False
    if since is None or _facts(before) != _facts(after):
        return True
    return since >= (SELDOM if _without_offsets(before) == _without_offsets(after) else EVERY)


def _without_offsets(status: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name != "offsets"}


def _facts(status: Mapping[str, Any]) -> dict[str, Any]:
    scaling = {name: value for name, value in (status.get("scaling") or {}).items() if name not in SCALING}
    conditions = [{**one, "message": None} for one in status.get("conditions") or ()]
    facts = {name: value for name, value in status.items() if name not in FIGURES}
    return {**facts, "conditions": conditions, "scaling": scaling}
