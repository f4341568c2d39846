"""Time and threads by turns that a seed draws, so that the seed is all of a test's schedule: it fails always or never.

The event loop has a thread of its own no more, nor has what a module begins in one: each goes on a little at a time,
between what the test does, and inside it wherever that calls ``meanwhile`` or sleeps.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest

from headrace.worker import added, beside, dispatch, followers, load, parking, poll

CLOCKS: tuple[ModuleType, ...] = (added, dispatch, followers, load, parking, poll)
"""The modules that look at a clock."""

STEPS = (0.0, 0.0, 0.001, 0.01, 0.1)
"""Seconds that may pass at a time."""


class Turns:
    """Whose turn it is, by ``draw``; ``beside`` is what else may go on while a thread sleeps."""

    def __init__(self, patches: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop, seed: int) -> None:
        self.draw = random.Random(seed)
        self.beside: Callable[[], None] = lambda: None
        self._loop = loop
        self._now = 1_000_000.0
        self._begun: list[Callable[[], None]] = []
        clock = SimpleNamespace(monotonic=self.now, time=self.now, sleep=self._sleep)
        patches.setattr(loop, "time", self.now)
        patches.setattr(dispatch, "random", self.draw)
        for one in CLOCKS:
            patches.setattr(one, "time", clock)
        patches.setattr(beside, "threading", SimpleNamespace(Thread=self._thread))

    def now(self) -> float:
        """Return the time in seconds, which passes by `meanwhile` alone."""
        return self._now

    def meanwhile(self) -> None:
        """Let some time pass, the event loop take some turns, and a thread that was begun end."""
        self._now += self.draw.choice(STEPS)
        if self._begun and self.draw.random() < 0.3:
            self._begun.pop(self.draw.randrange(len(self._begun)))()
        for _ in range(self.draw.randint(0, 3)):
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    def _sleep(self, seconds: float) -> None:
        self._now += seconds
        self.meanwhile()
        self.beside()

    def _thread(self, *, target: Callable[..., None], args: tuple[object, ...], **about: object) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: self._begun.append(lambda: target(*args)))
