"""Carries out the commands that make good for dead letters (`onDeadLetter.compensate`).

A command comes from the Consumer's own retry topic and is tried as any record is; if it fails for good, it is a dead
letter itself. What a command does says nothing of the handler's target, nor of whether its message is handled.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from headrace.config import Config, Http
from headrace.flow.policy import Failed
from headrace.handlers import Handler
from headrace.letters.commands import Commands
from headrace.record import Record
from headrace.worker.attempts import Handle

NOWHERE = Failed(
    message="there is a command to make good for a dead letter, and delivery.onDeadLetter.compensate is gone",
    exception="headrace.Uncompensated",
    retriable=False,
)


class Compensation:
    """Where commands go."""

    def __init__(self, config: Config) -> None:
        """Open nothing yet; raises Broken for an address that nobody can be at."""
        wish = config.delivery.on_dead_letter.compensate
        self._topic = Commands(config, wish.topic) if wish and wish.topic else None
        self._http = _http(config, wish.http) if wish and wish.http else None

    def beside(self, handle: Handle) -> Handle:
        """Return what handles commands here, and all other records with ``handle``."""

        def handle_any(record: Record) -> Coroutine[Any, Any, Failed | None]:
            return self.handle(record) if record.compensates else handle(record)

        return handle_any

    async def handle(self, record: Record) -> Failed | None:
        """Carry out a command once; None is success."""
        target = self._topic or self._http
        return NOWHERE if target is None else await target.handle(record)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()


def _http(config: Config, target: Http) -> Handler:
    from headrace.handlers.http import HttpHandler

    return HttpHandler(target, namespace=config.namespace)
