"""What may stand for something seen: that it is absent, or that nobody knows.

Unknown is never read as absent: only a live answer says that something is not there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A live read said that there is no such thing."""


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """Nobody could say; ``reason`` is a sentence with what was tried, on what, and what came back."""

    reason: str
