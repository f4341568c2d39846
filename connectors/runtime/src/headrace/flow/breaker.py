"""Whether the target takes records: while it does not, nothing begins, and no attempt counts.

A circuit breaker (Nygard, "Release It!"): closed, it opens when many keys have failed of late and little went well, or
nothing since the first of them, or when nothing has answered several times on end; a few keys that always fail are
poison, and open nothing. After a rest that doubles with each probe that fails, one record is tried; a success lets the
others follow, twice as many each round. How many run at once is found as in TCP (Jacobson, "Congestion Avoidance and
Control", 1988): halved when the target says that it has too much, or answers too late, and one more for each round that
goes well.
Pure: time is an argument, in monotonic seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from headrace.flow.lanes import Lane
from headrace.flow.policy import Failed

HALF = 5.0
"""Seconds of one of the two spans that are looked back on."""

KEYS, SHARE = 10, 0.75
"""Keys that must have failed for an outage, and their share of these and of the records that went well.

A key that is tried again and again counts once: fewer keys, or a smaller share, are poison. What went well before the
first of so many failures on end says nothing: a busy target that turns would cost records their attempts meanwhile.
"""

STREAK = 5
"""Attempts on end that nothing answered, also those of a single key."""

REST, LONGEST_REST = 5.0, 60.0
"""Seconds from the opening to the first probe, and the most between two."""

OVERLOAD = frozenset({429, 503})
"""Statuses by which a target says that it has too much."""

CALM = 1.0
"""Seconds in which the limit is halved once at most: what had begun before fails for the same reason."""


class State(NamedTuple):
    """Whether the target was last seen to fail, and no probe has gone well since; how many attempts may run at once."""

    is_open: bool
    limit: int


class _Span:
    """Attempts of a few seconds."""

    __slots__ = ("began", "keys", "well")

    def __init__(self, began: float) -> None:
        self.began = began
        self.well = 0
        self.keys: set[Lane] = set()


class Breaker:
    """What is known of the target, from how attempts ended."""

    def __init__(self, most: int, now: float) -> None:
        """At most ``most`` attempts run at once."""
        self._most = most
        self._limit = self._threshold = float(most)
        self._halved_at = now
        self._span, self._before = _Span(now), _Span(now)
        self._unanswered = 0
        self._on_end: dict[Lane, float] = {}
        self._rest = REST
        self._until: float | None = None
        self.state = State(is_open=False, limit=most)

    @property
    def is_open(self) -> bool:
        """Whether the target was last seen to fail, and no probe has gone well since."""
        return self.state.is_open

    @property
    def limit(self) -> int:
        """How many attempts may run at once."""
        return self.state.limit

    @property
    def rest(self) -> float:
        """Seconds from one probe to the next, while it is open."""
        return self._rest

    def room(self, running: int, now: float) -> int:
        """Return how many attempts may begin now beside the ``running`` ones."""
        if self._until is None:
            return self.state.limit - running
        return 1 - running if now >= self._until else 0

    def due(self, now: float) -> float | None:
        """Return when a probe may begin, None when time alone changes nothing."""
        return self._until if self._until is not None and now < self._until else None

    def ended(self, lane: Lane, failed: Failed | None, now: float) -> bool:
        """Note how an attempt ended; return whether it counts: a failure by which the target is away does not."""
        if failed is not None and failed.internal:
            return True
        well = failed is None or not failed.retriable
        if self._until is not None:
            self._probed(well, now)
            return well
        if failed is None or well:
            self._well(now)
        else:
            self._failed(lane, failed, now)
        return self._until is None

    def _probed(self, well: bool, now: float) -> None:
        if self._until is None or now < self._until:
            return
        if well:
            self._close(now)
        else:
            self._rest = min(2 * self._rest, LONGEST_REST)
            self._until = now + self._rest

    def _close(self, now: float) -> None:
        self._until, self._rest, self._unanswered = None, REST, 0
        self._on_end.clear()
        self._limit, self._threshold = 1.0, float(self._most)
        self._span, self._before = _Span(now), _Span(now)
        self._change()

    def _well(self, now: float) -> None:
        self._current(now).well += 1
        self._unanswered = 0
        if self._on_end:
            self._on_end.clear()
        if self._limit < self._most:
            step = 1.0 if self._limit < self._threshold else 1.0 / self._limit
            self._limit = min(float(self._most), self._limit + step)
            self._change()

    def _failed(self, lane: Lane, failed: Failed, now: float) -> None:
        self._current(now).keys.add(lane)
        self._on_end = {key: at for key, at in self._on_end.items() if now - at < 2 * HALF} | {lane: now}
        self._unanswered = self._unanswered + 1 if failed.unanswered else 0
        if (failed.timed_out or failed.status in OVERLOAD) and now - self._halved_at >= CALM:
            self._halved_at = now
            self._threshold = self._limit = max(1.0, self._limit / 2)
        if self._unanswered >= STREAK or len(self._on_end) >= KEYS or self._is_outage():
            self._until = now + self._rest
        self._change()

    def _change(self) -> None:
        self.state = State(is_open=self._until is not None, limit=int(self._limit))

    def _is_outage(self) -> bool:
        """Whether the keys that failed are many; they are counted only where there may be enough, as it takes long."""
        well = self._span.well + self._before.well
        if not _are_many(len(self._span.keys) + len(self._before.keys), well):
            return False
        return _are_many(len(self._span.keys | self._before.keys), well)

    def _current(self, now: float) -> _Span:
        if now - self._span.began >= HALF:
            late = now - self._span.began >= 2 * HALF
            self._before = _Span(now) if late else self._span
            self._span = _Span(now)
        return self._span


def _are_many(failed: int, well: int) -> bool:
    return failed >= KEYS and failed >= SHARE * (failed + well)
