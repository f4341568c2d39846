"""Answers that serve several askers: whoever asks within some seconds of a question gets its answer, also a failure.

It must not know what is asked. What decides something that cannot be undone is asked live, past this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from headrace_operator.clients.errors import HeadraceError

Key = TypeVar("Key")
Found = TypeVar("Found")


class Kept(Generic[Key, Found]):
    """Reads each key once in ``age`` seconds; ``now`` is a monotonic clock in seconds."""

    def __init__(
        self, read: Callable[[Key], Awaitable[Found]], age: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._age, self._now = read, age, now
        self._answers: dict[Key, tuple[float, asyncio.Task[Found | HeadraceError]]] = {}

    async def ask(self, key: Key) -> Found:
        """Return an answer whose question began at most ``age`` seconds ago, and after the last `forget`.

        Raises the `HeadraceError` that this question met with.
        """
        self._drop()
        if key not in self._answers:
            self._answers[key] = (self._now(), asyncio.create_task(self._answer(key)))
        asked = self._answers[key][1]
        found = asked.result() if asked.done() else await asyncio.shield(asked)
        if isinstance(found, HeadraceError):
            raise found.with_traceback(None)
        return found

    def forget(self, key: Key) -> None:
        """Let nobody get an answer any more whose question has begun."""
        self._answers.pop(key, None)

    async def _answer(self, key: Key) -> Found | HeadraceError:
        try:
            return await self._read(key)
        except HeadraceError as error:
            return error

    def _drop(self) -> None:
        """Forget the questions that are too old, which stand first."""
        before = self._now() - self._age
        while self._answers and next(iter(self._answers.values()))[0] <= before:
            del self._answers[next(iter(self._answers))]
