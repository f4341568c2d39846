"""One attempt at a record: its handler is called, and whatever it does to its own task is that attempt's failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from headrace.flow.policy import Failed
from headrace.handlers import exceptions
from headrace.record import Record
from headrace.worker.runners import Runners, own_task

Handle = Callable[[Record], Coroutine[Any, Any, Failed | None]]
log = logging.getLogger(__name__)

OWN_CANCELLATION = Failed(
    message="the handler cancelled its own task", exception="asyncio.CancelledError", internal=True
)


class Attempts:
    """Calls ``handle``, in tasks of ``runners``."""

    def __init__(self, handle: Handle, runners: Runners) -> None:
        self._handle = handle
        self._runners = runners

    async def make_apart(self, record: Record) -> Failed | None:
        """Handle once in a task that ends with it, so that nothing it left behind can cancel what follows."""
        task = asyncio.ensure_future(self.make(record))
        try:
            return await task
        except asyncio.CancelledError:
            if self._runners.are_ending:
                raise
            return OWN_CANCELLATION

    async def make(self, record: Record) -> Failed | None:
        """Handle once; what a handler lets pass is a bug, and fails this record's attempt, not every record's."""
        if record.unreadable is not None:
            return Failed(message=record.unreadable, exception="headrace.Unreadable", retriable=False)
        runner = own_task()
        try:
            failed = await self._handle(record)
            if runner.cancelling():
                await asyncio.sleep(0)  # raises what was asked for and has not come yet
            return failed
        except asyncio.CancelledError:
            if self._runners.are_ending:
                raise
            return OWN_CANCELLATION
        except BaseException as error:
            log.exception("This is a bug: the attempt at %s/%d@%d fails by it", *record.source)
            text = "a bug of the consumer: its log has the traceback"
            return Failed(message=text, exception=exceptions.name(error), internal=True)
