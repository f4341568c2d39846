"""The ways in which a record is handled: one module each, which is loaded where it is the one."""

from __future__ import annotations

from typing import Protocol

from headrace.flow.policy import Failed
from headrace.record import Record


class Handler(Protocol):
    """One way."""

    async def handle(self, record: Record) -> Failed | None:
        """Handle a record once; None is success."""

    async def close(self) -> None:
        """Let go of what it holds."""


class Broken(Exception):
    """The handler cannot start as it is configured; the text says what is wrong with it."""
