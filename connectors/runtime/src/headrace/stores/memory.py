"""Remembers messages in the memory of this process: what it forgets by restarting, and others handled, is not known."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from headrace.stores import Standing


class MemoryStore:
    """At most ``most`` handled messages, the oldest leave first; ``window`` and ``lease`` in seconds."""

    def __init__(self, *, most: int, window: float, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._window = window
        self._lease = lease
        self._clock = clock
        self._done: OrderedDict[str, float] = OrderedDict()
        self._held: dict[str, tuple[str, float]] = {}

    async def claim(self, message_id: str, token: str) -> Standing:
        """Claim a message."""
        now = self._clock()
        self._forget(now)
        if message_id in self._done:
            return Standing.DONE
        holder, until = self._held.get(message_id, (token, now))
        if holder != token and now < until:
            return Standing.HELD
        self._held[message_id] = (token, now + self._lease)
        return Standing.NEW

    async def renew(self, message_id: str, token: str) -> None:
        """Begin the lease of a message anew."""
        if self._held.get(message_id, ("", 0.0))[0] == token:
            self._held[message_id] = (token, self._clock() + self._lease)

    async def done(self, message_id: str) -> None:
        """Remember that a message was handled."""
        self._held.pop(message_id, None)
        self._done.pop(message_id, None)
        self._done[message_id] = self._clock() + self._window
        if len(self._done) > self._most:
            self._done.popitem(last=False)

    async def release(self, message_id: str, token: str) -> None:
        """Let others claim a message."""
        if self._held.get(message_id, ("", 0.0))[0] == token:
            del self._held[message_id]

    async def close(self) -> None:
        """Hold nothing that must be let go of."""

    def _forget(self, now: float) -> None:
        while self._done and next(iter(self._done.values())) <= now:
            self._done.popitem(last=False)
