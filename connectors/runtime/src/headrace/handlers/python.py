"""Calls the user's Python function, plain or async, and reads its return or exception as the answer.

It must not know Kafka. A plain function runs in a thread, which nothing can stop: past its time-out it is reported and
waited for, so that its key stays in order.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from headrace import config
from headrace.policy import Failed
from headrace.record import Record, Reject, Retry

Function = Callable[[Record], object]
log = logging.getLogger(__name__)


class Broken(Exception):
    """The user's function cannot be loaded; the text says what failed and where."""


def load(settings: config.Python) -> Function:
    """Import ``module:function``; raises Broken saying what failed."""
    module_name, _, name = settings.function.partition(":")
    if settings.path is not None and settings.path not in sys.path:
        sys.path.insert(0, settings.path)
    place = f" (looked first in {settings.path})" if settings.path else ""
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise Broken(f"cannot import module {module_name!r}{place}: {_line(error)}{_where(error)}") from error
    function = getattr(module, name, None) if name else None
    if not callable(function):
        raise Broken(f"module {module_name!r} has no function {name!r}{place}: spec.handler.python.function")
    return function  # type: ignore[no-any-return]


class PythonHandler:
    """A handler that calls one function in this process."""

    def __init__(self, settings: config.Python, *, concurrency: int) -> None:
        """Load the function; raises Broken."""
        self._function = load(settings)
        self._timeout = settings.timeout
        self._is_async = inspect.iscoroutinefunction(self._function)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="handler")

    async def handle(self, record: Record) -> Failed | None:
        """Call the function once with ``record``; None is success."""
        try:
            await (self._await(record) if self._is_async else self._call(record))
        except Reject as error:
            return Failed(message=str(error), exception=_name(error), retriable=False)
        except Retry as error:
            return Failed(message=str(error), exception=_name(error), after=error.after)
        except TimeoutError as error:
            return Failed(message=str(error) or "timed out", exception=_name(error), timed_out=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's function may raise anything
            return Failed(message=_line(error), exception=_name(error))
        return None

    async def close(self) -> None:
        """Let go of the threads; one that still runs is abandoned."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _await(self, record: Record) -> None:
        async with asyncio.timeout(self._timeout):
            await self._function(record)  # type: ignore[misc]

    async def _call(self, record: Record) -> None:
        call = asyncio.get_running_loop().run_in_executor(self._threads, self._function, record)
        done, _ = await asyncio.wait((call,), timeout=self._timeout)
        if not done:
            position = "{}/{}@{}".format(*record.source)
            log.warning("the handler runs longer than %.0f s, its key waits: %s", self._timeout, position)
        await call


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return ""
    return f" ({frames[-1].filename}, line {frames[-1].lineno})"


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
