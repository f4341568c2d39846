"""Has keys give up the last of what came from the retry topic, and reads it again when they want it.

The poll thread alone owns it; what each key keeps is decided beside the lanes (`headrace.flow.aside`).
"""

from __future__ import annotations

import asyncio

from headrace.flow.ledger import Ledger
from headrace.kafka.consumer import Source
from headrace.worker.dispatch import Dispatcher

LOOK_EVERY = 0.5
"""Seconds between looks."""


class Aside:
    """What is not in memory of the retry partitions in ``ledger``, though it was read."""

    def __init__(self, source: Source, ledger: Ledger, dispatcher: Dispatcher, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._ledger = ledger
        self._keys = dispatcher.keys
        self._loop = loop
        self._looked_at = 0.0

    def serve(self, now: float, *, is_full: bool) -> None:
        """Go on; ``is_full`` says that no more fits of what comes from the retry topic."""
        self._read_again()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._look(is_full=is_full)

    def _read_again(self) -> None:
        """Read from where keys want what they gave up, once all of the partition was read.

        What they gave up before they said so is noted first: else it would count as read.
        """
        wanted = [self._keys.again.popleft() for _ in range(len(self._keys.again))]
        while self._keys.aside:
            self._ledger.set_aside(*self._keys.aside.popleft())
        for one, offset in wanted:
            if not one.given_away and one.place == one.end and self._source.read_again(one.name, offset):
                one.place = offset

    def _look(self, *, is_full: bool) -> None:
        if is_full:
            self._loop.call_soon_threadsafe(self._keys.share_out)
        for one in self._ledger.owned:
            if one.aside and one.place == one.end:
                self._loop.call_soon_threadsafe(self._keys.look_back, one)
