"""Calls the user's Python function, plain or async, and reads its return or exception as the answer.

It must not know Kafka. A plain function runs in a thread, which nothing can stop: past its time-out it is reported and
waited for, so that its key stays in order.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import math
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

from headrace import declared
from headrace.declared import Declared
from headrace.flow.finals import is_final
from headrace.flow.policy import Failed
from headrace.handlers import Broken, exceptions
from headrace.handlers.deadlines import Deadlines
from headrace.handlers.steps import rest
from headrace.handlers.threads import Threads
from headrace.record import Record, Reject, Retry

Function = Callable[[Record], object]
log = logging.getLogger(__name__)


class Settings(Protocol):
    """Which function is called, and for how many seconds at most: of the contract's `headrace.config.Python`."""

    @property
    def function(self) -> str: ...

    @property
    def path(self) -> str | None: ...

    @property
    def timeout(self) -> float: ...


UNANSWERED = (TimeoutError, ConnectionError)
"""What a function raises when what it calls is away."""


def load(settings: Settings) -> Function:
    """Import ``module:function``; raises Broken saying what failed."""
    module_name, _, name = settings.function.partition(":")
    if settings.path is not None and settings.path not in sys.path:
        sys.path.insert(0, settings.path)
    place = f" (looked first in {settings.path})" if settings.path else ""
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        at = exceptions.where(error)
        said = exceptions.line(error) + (f" ({at})" if at else "")
        raise Broken(f"cannot import module {module_name!r}{place}: {said}") from error
    function = getattr(module, name, None) if name else None
    if not callable(function):
        found = f" of {module.__file__}"
        raise Broken(f"module {module_name!r}{found} has no function {name!r}{place}: spec.handler.python.function")
    _check(function, settings.function)
    return function  # type: ignore[no-any-return]


def _check(function: Callable[..., object], name: str) -> None:
    """Raise Broken when each call of ``function`` would fail, or would do nothing."""
    place = _defined(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Broken(f"{name}{place} contains yield, so that calling it does nothing: return instead")
    try:
        inspect.signature(function).bind(object())
    except TypeError as error:
        raise Broken(f"{name}{place} cannot be called with one argument, the record: {error}") from error
    except ValueError:
        log.info("what arguments %s takes cannot be seen", name)


def _defined(function: Callable[..., object]) -> str:
    code = getattr(function, "__code__", None)
    return f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""


class PythonHandler:
    """A handler that calls one function in this process."""

    def __init__(self, settings: Settings, *, concurrency: int) -> None:
        """Load the function; raises Broken."""
        self._function = load(settings)
        self._declared = declared.of(self._function)
        self._timeout = settings.timeout
        self._deadlines = Deadlines(self._timeout)
        self._is_async = inspect.iscoroutinefunction(self._function)
        self._threads = Threads(self._outcome, concurrency, self._timeout, self._tell_late)

    async def handle(self, record: Record) -> Failed | None:
        """Call the function once with ``record``; None is success."""
        try:
            if self._is_async:
                outcome = await self._begin(self._function(record))
            else:
                outcome = await self._threads.call(record)
                if outcome is not None and inspect.isawaitable(outcome):
                    outcome = await self._await(outcome)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            outcome = error
        except BaseException as error:  # noqa: BLE001 - the user's function may raise anything
            outcome = error
        return None if outcome is None else judge(outcome, self._declared)

    async def close(self) -> None:
        """Let go of the threads; one that still runs is abandoned."""
        self._threads.close()

    async def _begin(self, answer: Any) -> object:
        """Await the function's answer, with a time-out if it has to be waited for."""
        try:
            waits_for = answer.send(None)
        except StopIteration as done:
            return done.value
        return await self._await(rest(answer, waits_for))

    async def _await(self, answer: Awaitable[object]) -> object:
        with self._deadlines:
            return await answer

    def _tell_late(self, record: Record) -> None:
        position = "{}/{}@{}".format(*record.source)
        log.warning("the handler runs longer than %.0f s, its key waits: %s", self._timeout, position)

    def _outcome(self, record: Record) -> object:
        """Call the function; an exception is returned, as not every one can pass from a thread to the loop."""
        try:
            return self._function(record)
        except BaseException as error:  # noqa: BLE001 - the user's function may raise anything
            return error


def _is_cancelled() -> bool:
    """Whether this attempt's task is cancelled, and not something that the user's function waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def judge(outcome: object, declared: Declared) -> Failed | None:
    """Say what it means that the user's function returned or raised ``outcome``; None is success.

    An exception's text, name and fields may be code of the user's, which may fail in turn: that fails this attempt.
    """
    try:
        return _judge(outcome, declared) if isinstance(outcome, BaseException) else None
    except BaseException:  # noqa: BLE001 - see above
        return Failed(message="what the handler raised fails to say what it is", exception="builtins.BaseException")


def _judge(error: BaseException, declared: Declared) -> Failed:
    after, wrong = _after(error) if isinstance(error, Retry) else (None, "")
    return Failed(
        message=_message(error) + wrong + exceptions.because(error),
        exception=exceptions.name(error),
        retriable=not is_final(error, declared),
        timed_out=isinstance(error, TimeoutError),
        after=after,
        traced=exceptions.traced(error),
        unanswered=isinstance(error, UNANSWERED),
        internal=isinstance(error, asyncio.CancelledError),
    )


def _message(error: BaseException) -> str:
    match error:
        case Reject() | Retry():
            return exceptions.text(error)
        case TimeoutError():
            return exceptions.text(error) or "timed out"
        case _:
            return exceptions.line(error)


def _after(error: Retry) -> tuple[float | None, str]:
    """Return the seconds that were asked for, and what is wrong with what is no length of time."""
    asked = getattr(error, "after", None)
    if asked is None:
        return None, ""
    seconds = asked.total_seconds() if isinstance(asked, timedelta) else _number(asked)
    if seconds >= 0 and math.isfinite(seconds):
        return seconds, ""
    return None, f" (Retry(after={repr(asked)[:100]}) is no length of time, in seconds or a timedelta: ignored)"


def _number(asked: object) -> float:
    """Return a number as it is, NaN for what is none; one that is too great for a float is infinite."""
    if not isinstance(asked, (int, float)) or isinstance(asked, bool):
        return math.nan
    try:
        return float(asked)
    except OverflowError:
        return math.inf
