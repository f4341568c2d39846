"""How long tests wait: for what never comes, not for what comes late. A wait is minutes, and only a failure ends it.

How quick a thing is, is no outcome. The one promise of seconds stands in tests/operator/reconcile/test_conventions.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 300.0
"""Seconds to wait for a condition, or for a command to end."""

SELDOM = 2.0
"""The longest pause between two questions, in seconds."""

Value = TypeVar("Value")


def until(what: str, holds: Callable[[], Value | None], every: float = 0.1) -> Value:
    """Await a condition and return its value; raises ``AssertionError`` saying ``what`` was awaited in vain.

    A question that takes long, as one by kubectl does, is asked less often: asking takes a quarter of the time at most.
    """
    deadline = time.monotonic() + PATIENCE
    asked = time.monotonic()
    while not (value := holds()):
        answered = time.monotonic()
        assert answered < deadline, f"waited {PATIENCE:.0f} s in vain for {what}"
        time.sleep(max(every, min(SELDOM, 3 * (answered - asked))))
        asked = time.monotonic()
    return value
