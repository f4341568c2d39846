"""Which loads that pods told are of now: a pod that works tells one each five seconds, and silence is a sign of death.

Pure: time is an argument. A load is as old as it has been the same, by the operator's own clock, so that the clocks of
nodes may differ; only one that was there before anybody looked is dated by its pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from headrace_operator.observed.kafka import PodLoad

STALE = 15.0
"""Seconds after which a load that is followed by none is of a pod that is gone, or cannot commit."""


class Loads:
    """The last load of each pod, and when it was first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[PodLoad, datetime]] = {}

    def look(self, told: Iterable[PodLoad], now: datetime) -> tuple[PodLoad, ...]:
        """Return those of now, by the names of pods; one of a pod that is idle stands until another takes it off."""
        last = _last(told)
        self._seen = {pod: (load, self._since(load, now)) for pod, load in last.items()}
        fresh = (load for load, at in self._seen.values() if load.idle or (now - at).total_seconds() <= STALE)
        return tuple(sorted(fresh, key=lambda load: load.pod))

    def _since(self, load: PodLoad, now: datetime) -> datetime:
        known = self._seen.get(load.pod)
        if known is None:
            return min(load.end, now)
        return known[1] if known[0] == load else now


def _last(told: Iterable[PodLoad]) -> Mapping[str, PodLoad]:
    """Return the last of each pod: after a rebalance another partition may still have an older one."""
    return {load.pod: load for load in sorted(told, key=lambda load: load.end)}
