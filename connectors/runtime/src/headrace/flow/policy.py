"""What becomes of a failed attempt: again later, or the dead letters.

Pure: the random number is an argument. Back-off is exponential with full jitter (AWS Architecture Blog, "Exponential
Backoff And Jitter"): a time between nothing and ``min(max, initial * factor ** n)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.failure import Reason, Traced
from headrace.flow.offset_map import Tried

if TYPE_CHECKING:
    from headrace.config import Retry  # else each worker process would load pydantic for nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """How an attempt failed; ``after`` in seconds is what the handler asked for, ``status`` its HTTP status.

    ``traced`` says where in the user's code it was, if it was there.
    ``unanswered``: nothing came back from the target, which says nothing of the record. ``internal``: the attempt broke
    on this side, which says nothing of the target. ``crashed``: it ended the process that it ran in.
    """

    message: str
    exception: str
    retriable: bool = True
    timed_out: bool = False
    after: float | None = None
    status: int | None = None
    traced: Traced | None = None
    unanswered: bool = False
    internal: bool = False
    crashed: bool = False


NOT_BEGUN = Failed(message="not begun", exception="headrace.NotBegun", internal=True)
"""What is no attempt: the handler gives the record back before it has begun it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """Try again after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """Give up, for this reason."""

    reason: Reason


def decide(
    failed: Failed, *, attempt: int, retry: Retry, jitter: float, age: float = 0.0, crashes: int = 0
) -> Again | DeadLetter:
    """Decide about attempt number ``attempt`` (from 1) that failed; ``jitter`` is a random number in [0, 1).

    ``age`` in seconds since the first one failed; ``crashes`` is how many of them ended their worker process.
    """
    if failed.crashed and crashes >= retry.max_crash_attempts:
        return DeadLetter(reason=Reason.CRASH)
    if not failed.retriable:
        return DeadLetter(reason=Reason.NON_RETRIABLE)
    if attempt >= retry.attempts:
        return DeadLetter(reason=Reason.TIMEOUT if failed.timed_out else Reason.MAX_ATTEMPTS)
    delay = _wait(failed, attempt, retry, jitter)
    if retry.max_age is not None and age + delay > retry.max_age:
        return DeadLetter(reason=Reason.EXPIRED)
    return Again(delay=delay)


def _wait(failed: Failed, attempt: int, retry: Retry, jitter: float) -> float:
    if failed.after is not None:
        return min(retry.max, max(0.0, failed.after))
    return jitter * ceiling(attempt, retry)


def resumed(tried: Tried, *, now: float, retry: Retry, jitter: float) -> float:
    """Return for how many seconds a record that failed elsewhere still waits; ``now`` is in seconds since 1970.

    Until it was due there, at most the longest back-off, as clocks differ; where that is not known, a back-off anew.
    """
    if tried.due:
        return min(retry.max, max(0.0, tried.due - now))
    return jitter * ceiling(max(1, tried.attempt - 1), retry)


def ceiling(attempt: int, retry: Retry) -> float:
    """Return the longest wait in seconds after attempt number ``attempt`` failed."""
    try:
        return min(retry.max, retry.initial * retry.factor ** (attempt - 1))
    except OverflowError:
        return retry.max
