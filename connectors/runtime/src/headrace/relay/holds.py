"""What is not read for now: keys whose first row was refused, and routes whose topic takes nothing. Pure.

Times are seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headrace.outbox import Backoff

MOST_LANES = 1000
"""Keys that wait at once; with more, something is wrong with all of them, and nothing is read until one is due."""

MOST_ROUTES = 100
"""Topics that are missing at once; with more, the routes name no topics, and their rows fail by name."""

LOOK_AGAIN = 5.0
"""Seconds after which a topic that takes nothing is looked at again."""

Lane = str | bytes
Route = str | bytes


def wait(backoff: Backoff, failures: int) -> float:
    """Return the seconds until a row that was refused so many times is tried again."""
    return float(min(backoff.max, backoff.initial * 2.0 ** min(failures - 1, 60)))


@dataclass(kw_only=True)
class Holds:
    """Lanes (keys, or rows without one) and routes that wait, each with the time when it is due."""

    _lanes: dict[Lane, float] = field(default_factory=dict)
    _routes: dict[Route, tuple[float, str]] = field(default_factory=dict)

    def hold_lane(self, lane: Lane, until: float) -> None:
        """Let a key wait behind its first row."""
        self._lanes[lane] = until

    def hold_route(self, route: Route, why: str, now: float) -> bool:
        """Let the rows of a route wait for their topic; False: too many routes wait already."""
        if route not in self._routes and len(self._routes) >= MOST_ROUTES:
            return False
        self._routes[route] = (now + LOOK_AGAIN, why)
        return True

    def lanes(self, now: float) -> list[Lane]:
        """Return the lanes that still wait; the others are forgotten."""
        self._lanes = {lane: due for lane, due in self._lanes.items() if due > now}
        return list(self._lanes)

    def due_routes(self, now: float) -> list[Route]:
        """Return the routes whose topic is to be looked at again."""
        return [route for route, (due, _) in self._routes.items() if due <= now]

    def release_route(self, route: Route) -> None:
        """Read the rows of a route again."""
        self._routes.pop(route, None)

    @property
    def routes(self) -> dict[Route, str]:
        """The routes that wait, each with why."""
        return {route: why for route, (_, why) in self._routes.items()}

    @property
    def is_full(self) -> bool:
        """Whether so many keys wait that nothing else is read."""
        return len(self._lanes) >= MOST_LANES
