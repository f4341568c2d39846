"""An event loop whose timers are due when they are: epoll(7) counts in milliseconds, which asyncio rounds up.

So a function that waits for 10 ms would get 11, and its key wait for as long. select(2) counts in microseconds.
It must not know what runs on the loop.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys


def loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop."""
    return asyncio.SelectorEventLoop(Exact()) if sys.platform == "linux" else asyncio.new_event_loop()


if sys.platform == "linux":

    class Exact(selectors.EpollSelector):
        """Waits by select(2) for epoll's own descriptor, which is ready when any of its files is.

        It is made before anything is opened, as select(2) knows the first 1,024 descriptors of a process only.
        """

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Return what is ready within ``timeout`` seconds, None is for ever."""
            if timeout is None or timeout <= 0:
                return super().select(timeout)
            select.select((self.fileno(),), (), (), timeout)
            return super().select(0)
