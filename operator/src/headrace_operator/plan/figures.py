"""Which part of a status only counts, and how often that is written: a busy pipeline must not keep the API server busy.

What moves while all is well, as records on their way and rates that vary do, is for metrics, which have it at each
look; a status that says nothing wrong of them rests. What moves also while nothing happens is written with something
else, and never for itself. Pure: `due` is told how long ago the status was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headrace_operator.scaling.terms import EXPLAINED

EVERY = 10.0
"""Seconds between two writes of figures or of sentences alone; whatever else changes is written at once."""

SELDOM = 600.0
"""Seconds between two writes of what is on its way."""

FIGURES = ("lag", "lagSeconds", "lagBytes", "offsets", "backlog", "oldestPendingSeconds", "heard")
RATES = ("arrivalsPerSecond", "handledPerSecond")
SCALING = ("message", "fewerSince", "capacityTime", "capacityPerReplica", *RATES)

SEGMENT = 16 * 2**20
"""Bytes of a database's log, one file of it, that are on their way: others write there, too."""

FACTOR, LITTLE = 2.0, 1.0
"""A rate that is at most so many times another, and so much a second, says the same."""


def due(before: Mapping[str, Any], after: Mapping[str, Any], since: float | None) -> bool:
    """Tell whether ``after`` is to be written over ``before``, ``since`` seconds after the last write, None: never.

    Who begins to look does not write what says the same: somebody else may have written it just before.
    """
    after = {**after, **_resting(before, after)}
    if before == after:
        return False
    if _facts(before) != _facts(after):
        return True
    if _say_the_same(before, after):
        return since is not None and since >= SELDOM
    return since is None or since >= EVERY


def _resting(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return as it was what moves by each heartbeat: known offsets, and a Connector's lag while it is short."""
    same = {
        "offsets": bool(before.get("offsets") and after.get("offsets")),
        "lagSeconds": _is_short(before.get("lagSeconds"), after.get("lagSeconds"), EXPLAINED),
        "lagBytes": _is_short(before.get("lagBytes"), after.get("lagBytes"), SEGMENT),
        **dict.fromkeys(("backlog", "oldestPendingSeconds"), _is_going_on(before, after)),
    }
    return {name: before[name] for name, holds in same.items() if holds}


def _facts(status: Mapping[str, Any]) -> dict[str, Any]:
    conditions = [{**one, "message": None} for one in status.get("conditions") or ()]
    return {**_without(status, FIGURES), "conditions": conditions, "scaling": _without(_scaling(status), SCALING)}


def _say_the_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether nothing differs but records that are on their way, and rates by a little."""
    scaling = _scaling(before), _scaling(after)
    rests = [_without(one, ("message", *RATES)) for one in scaling]
    others = [_without(one, ("lag", "scaling")) for one in (before, after)]
    return (
        others[0] == others[1]
        and rests[0] == rests[1]
        and all(_is_alike(*(one.get(rate) for one in scaling)) for rate in RATES)
        and _is_on_its_way(before.get("lag"), after.get("lag"))
    )


def _is_alike(before: float | None, after: float | None) -> bool:
    """Tell whether two rates say the same; that something has come to an end is told."""
    if before == after:
        return True
    if before is None or not after:
        return False
    return max(before, after) <= FACTOR * min(before, after) + LITTLE


def _is_on_its_way(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Tell whether a lag is nothing that commits and looks do not explain; that no record waits any more is told."""
    if before == after:
        return True
    if not before or not after or "seconds" not in before or "seconds" not in after:
        return False
    return bool(after.get("records") and max(before["seconds"], after["seconds"]) <= EXPLAINED)


def _is_going_on(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether rows of an outbox wait, and none for longer than looks explain, as they did before."""
    oldest = (before.get("oldestPendingSeconds"), after.get("oldestPendingSeconds"))
    return bool(before.get("backlog") and after.get("backlog")) and _is_short(*oldest, EXPLAINED)


def _is_short(before: float | None, after: float | None, most: float) -> bool:
    return before is not None and after is not None and max(before, after) <= most


def _scaling(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return status.get("scaling") or {}


def _without(told: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    left = frozenset(names)
    return {name: value for name, value in told.items() if name not in left}
