"""What an exception says of itself: its text, its causes, and where in the user's code it was raised.

Reading an exception may run the user's code, which may do anything; whoever asks is prepared for that. Nothing in here
is longer than it is useful.
"""

from __future__ import annotations

import asyncio
import importlib
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from headrace.discreet import discreet
from headrace.failure import Traced

LONGEST = 2000
"""Characters kept of the text of an exception, and of a name."""

CAUSES, FRAMES, WIDTH = 3, 10, 200
"""Causes told of an exception, the last frames of each, and the characters of a line of code."""

Raised = tuple[FrameType, int]
"""A frame, and its line at which an exception passed."""

OWN = ("<frozen ", f"{Path(__file__).parent.parent}/", importlib.__file__)
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
"""Files that call or import the user's code, and folders whose code is rarely the user's."""


def text(error: BaseException) -> str:
    """Return the text of ``error``, cut; addresses in it have no login and no query."""
    try:
        return discreet(str.__getitem__(str(error), slice(LONGEST)))
    except Exception:  # noqa: BLE001 - the text of an exception is the user's code too
        return "it fails to say more"


def line(error: BaseException) -> str:
    """Return class and text of ``error``, as a traceback ends with them."""
    return f"{type(error).__name__}: {text(error)}"


def name(error: BaseException) -> str:
    """Return the qualified name of the class of ``error``."""
    return f"{type(error).__module__}.{type(error).__qualname__}"[:LONGEST]


def because(error: BaseException) -> str:
    """Return the causes of ``error`` as the end of a sentence; nothing without one."""
    said = ", ".join(f"from {line(cause)[:WIDTH]}" for cause in _causes(error))
    return f" ({said})" if said else ""


def where(error: BaseException) -> str:
    """Say which line of the user's code it was, as ``FILE, line N``: of the exception, else of its nearest cause.

    Of a time-out it is the line that was cancelled. Empty where there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    stacks = [_raised(one) for one in _chain(error)]
    theirs = [[one for one in raised if not _file(one).startswith(LIBRARIES)] for raised in stacks]
    raised = next(filter(None, (*theirs, *stacks)), [])
    return f"{_file(raised[-1])}, line {raised[-1][1]}" if raised else ""


def traced(error: BaseException) -> Traced:
    """Return where ``error`` and its causes come from, in the form of a traceback: causes first, last frames last."""
    cause = next((name(one) for one in _causes(error)), None)
    stack = "\n".join(part for one in reversed(_chain(error)) for part in _lines(one))
    return Traced(location=where(error), stack=discreet(stack), cause=cause)


def _chain(error: BaseException) -> list[BaseException]:
    """Return ``error``, then what it was raised from, or while it was handled, or the first of a group's parts."""
    found = [error]
    while len(found) <= CAUSES and (cause := _cause(found[-1])) is not None:
        found.append(cause)
    return found


def _causes(error: BaseException) -> list[BaseException]:
    """Return the causes of ``error`` but a cancellation, which says nothing."""
    return [one for one in _chain(error)[1:] if not isinstance(one, asyncio.CancelledError)]


def _lines(error: BaseException) -> Iterator[str]:
    """Yield the traceback of ``error`` alone, if it has one of its own; it ends with its text."""
    yield "Traceback (most recent call last):"
    for frame in traceback.StackSummary.extract(iter(_raised(error))):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name[:WIDTH]}'
        if frame.line:
            yield f"    {frame.line[:WIDTH]}"
    yield line(error)


def _cause(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    implied = None if error.__suppress_context__ else error.__context__
    return implied if error.__cause__ is None else error.__cause__


def _raised(error: BaseException) -> list[Raised]:
    """Return the last frames that are not ours: the user's, and the very last one; all of them where none is."""
    raised = [one for one in traceback.walk_tb(error.__traceback__) if not _file(one).startswith(OWN)]
    theirs = [one for one in raised[:-1] if not _file(one).startswith(LIBRARIES)] or raised[:-1]
    return [*theirs, *raised[-1:]][-FRAMES:]


def _file(raised: Raised) -> str:
    return raised[0].f_code.co_filename
