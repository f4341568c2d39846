"""Looks at what Kafka has, one look at a time and in a thread of its own: the poll thread waits for none.

The poll thread alone owns it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Looking(Generic[Found]):
    """Looks that begin at least ``every`` seconds after one another, in threads of this ``name``."""

    def __init__(self, name: str, every: float) -> None:
        self._name = name
        self._every = every
        self._found: SimpleQueue[Found | BaseException] = SimpleQueue()
        self._is_looking = False
        self._looked_at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether a look may begin: none is under way, and the last one began long enough ago."""
        return not self._is_looking and now - self._looked_at >= self._every

    def begin(self, now: float, look: Callable[[], Found]) -> None:
        """Begin to look, when it is due."""
        self._looked_at, self._is_looking = now, True
        threading.Thread(target=self._look, args=(look,), name=self._name, daemon=True).start()

    def take(self) -> Found | None:
        """Return what a look found that has ended since, None where none has; raises what it raised."""
        try:
            found = self._found.get_nowait()
        except Empty:
            return None
        self._is_looking = False
        if isinstance(found, BaseException):
            raise found
        return found

    def _look(self, look: Callable[[], Found]) -> None:
        """Look once; in its own thread."""
        try:
            self._found.put(look())
        except BaseException as error:  # noqa: BLE001 - the thread's border: told to the poll thread, which ends
            self._found.put(error)
