"""Looks at what Kafka has, again and again, one at a time. The poll thread alone owns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from headrace.worker.beside import Beside

Found = TypeVar("Found")


class Looking(Generic[Found]):
    """Looks that begin at least ``every`` seconds after one another, in threads of this ``name``."""

    def __init__(self, name: str, every: float) -> None:
        self._every = every
        self._beside: Beside[Found] = Beside(name)
        self._is_looking = False
        self._looked_at = 0.0

    def is_due(self, now: float) -> bool:
        """Whether a look may begin: none is under way, and the last one began long enough ago."""
        return not self._is_looking and now - self._looked_at >= self._every

    def begin(self, now: float, look: Callable[[], Found]) -> None:
        """Begin to look, when it is due."""
        self._looked_at, self._is_looking = now, True
        self._beside.begin(lambda: [look()])

    def take(self) -> Found | None:
        """Return what a look found that has ended since, None where none has; raises what it raised."""
        for found in self._beside.take():
            self._is_looking = False
            return found
        return None
