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
from headrace_operator.clients.connect_entrances import Entrance

AT_ONCE = 16
"""Requests at once to one Connect."""

REST = 3.0
"""Seconds during which a Connect that is silent is not asked again."""

IDLE = 60.0
"""Seconds after which an address is forgotten that nobody asked."""

LONGEST = 4 * 2**20
"""Bytes of an answer about one connector, plug-in or request."""

LONGEST_NAME = 250
"""Bytes of a version, a state, or what a plug-in, a worker, a topic or connector is called: statuses have them."""

LONGEST_SENTENCE, LONGEST_TRACE = 1000, 32 * 1024
"""Characters of what Kafka Connect has against a property, and of a trace."""

LONGEST_LIST = 32 * 2**20
"""Bytes of the list of all connectors with their configurations and traces, and of a page of metrics."""


class Host:
    """One address of Kafka Connect, and how it is entered; ``now`` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.asked = now()
        self.entrance: Entrance | None = None
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


def root(url: str) -> str:
    """Return the address of the workers, which all their requests begin with."""
    return "/".join(url.split("/", 3)[:3])


class Hosts:
    """The addresses that are asked; as many as were within `IDLE` seconds, however many come and go."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: dict[str, Host] = {}

    def __len__(self) -> int:
        return len(self._known)

    def at(self, root: str) -> Host:
        """Return the one at this address, which is asked now."""
        if root not in self._known:
            self._known = {at: one for at, one in self._known.items() if self._now() - one.asked < IDLE}
            self._known[root] = Host(self._now)
        self._known[root].asked = self._now()
        return self._known[root]

    def real(self, url: str) -> str:
        """Return where ``url`` leads: that of a Kafka Connect that others run begins with a name."""
        entrance = self.at(root(url)).entrance
        address = entrance.address if entrance else None
        return url if address is None else address + url[len(root(url)) :]
