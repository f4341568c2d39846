"""How much of the concurrency is in use, over time.

An integral, moved on when the use changes: it costs the same however long a record takes. In use is a hand that handles
a record, and one that could, if only the process came to it; not one that has to wait, as for a target that is away, a
rate, a key's turn. So a process that is as busy as it can be says so whether its handler waits or computes, and what it
handled, divided by the share in use, is what it could handle. Pure: time is an argument, in monotonic seconds.
"""

from __future__ import annotations


class Busy:
    """The use of ``most`` hands. One thread notes it, any thread may ask."""

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._state = (0.0, 0, now)

    def note(self, hands: int, now: float) -> None:
        """Note that so many hands are in use from now on; more than there are count as all."""
        used = min(hands, self._most)
        if used != self._state[1]:
            self._state = (self.seconds(now), used, now)

    def seconds(self, now: float) -> float:
        """Return for how many seconds hands have been in use, together."""
        seconds, hands, since = self._state
        return seconds + hands * max(0.0, now - since)
