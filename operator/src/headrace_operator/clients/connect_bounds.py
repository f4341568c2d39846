"""What one Kafka Connect may cost: requests at once, the time of one that is silent, and the bytes of an answer.

Who waits for others that ask the same Connect waits within no deadline of its own. A Connect from which nothing came
for a whole deadline is not asked by everyone again: for `REST` seconds all get the same failure, then one tries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from headrace_operator.clients import errors

AT_ONCE = 16
"""Requests at once to one Connect."""

REST = 3.0
"""Seconds during which a Connect that is silent is not asked again."""

LONGEST = 4 * 2**20
"""Bytes of an answer about one connector, plug-in or request."""

LONGEST_LIST = 32 * 2**20
"""Bytes of the list of all connectors with their configurations and traces, and of a page of metrics."""


class Host:
    """One address of Kafka Connect; ``now`` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._answered = -REST
        self._silent: tuple[float, errors.Unreachable] | None = None

    @asynccontextmanager
    async def turn(self, deadline: float) -> AsyncIterator[float]:
        """Wait for a place among `AT_ONCE`, and give the time; raises the shared failure while it lasts."""
        tries = self._check(deadline)
        async with self._gate:
            if not tries:
                self._check(deadline)
            yield self._now()

    def answered(self) -> None:
        """Note that something came."""
        self._answered, self._silent = self._now(), None

    def is_silent(self, begun: float) -> bool:
        """Tell whether nothing came since a request ``begun``."""
        return self._answered < begun

    def share(self, failure: errors.Unreachable) -> errors.Unreachable:
        """Let ``failure`` be everyone's for `REST` seconds."""
        self._silent = (self._now() + REST, failure)
        return failure

    def _check(self, deadline: float) -> bool:
        """Raise the shared failure while it lasts; once it is over, return True to the one asker who tries."""
        if self._silent is None:
            return False
        until, failure = self._silent
        if self._now() < until:
            raise failure.with_traceback(None)
        self._silent = (self._now() + deadline, failure)
        return True
