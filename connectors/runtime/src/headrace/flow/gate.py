"""Whether an attempt may begin now: as the target's state, the limit of attempts at once, and the rate allow.

Pure: time is an argument, in monotonic seconds.
"""

from __future__ import annotations

from headrace.config import Delivery
from headrace.flow.breaker import Breaker, State
from headrace.flow.rate import Rate


class Gate:
    """What every attempt passes before it begins, and is told to when it has ended."""

    def __init__(self, delivery: Delivery, now: float) -> None:
        self._most = delivery.concurrency
        self.breaker = Breaker(self._most, now)
        self.ended = self.breaker.ended
        self._rate = None if delivery.rate is None else Rate(delivery.rate.per_second, now)

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: the target fails."""
        return self.breaker.state.is_open

    @property
    def limit(self) -> int:
        """How many attempts may run at once."""
        return self.breaker.state.limit

    @property
    def state(self) -> State:
        """Both."""
        return self.breaker.state

    @property
    def rest(self) -> float:
        """Seconds from one probe of a failing target to the next."""
        return self.breaker.rest

    def room(self, running: int, now: float, *, ahead: int = 0) -> int:
        """Return how many attempts may begin now beside the ``running`` ones.

        A handler takes ``ahead`` more than it begins, which is welcome where nothing but their number limits attempts.
        """
        if ahead and self._rate is None and self.state == (False, self._most):
            running -= ahead
        room = self.breaker.room(running, now)
        return room if self._rate is None or room <= 0 else min(room, self._rate.room(now))

    def begin(self, now: float) -> None:
        """Note that an attempt begins."""
        if self._rate is not None:
            self._rate.begin(now)

    def due(self, now: float) -> float | None:
        """Return when there may be room though no attempt ends before; None when only an end makes some."""
        due = self.breaker.due(now)
        if due is not None or self._rate is None or self._rate.room(now) > 0:
            return due
        return self._rate.due(now)
