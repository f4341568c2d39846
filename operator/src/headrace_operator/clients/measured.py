"""How long requests took and how they ended: one histogram for all clients, shown on the operator's metrics page."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from prometheus_client import Histogram

from headrace_operator.clients import errors

OUTCOMES = ("ok", "missing", "invalid", "unauthorized", "unreachable", "retryable", "busy", "conflict", "fenced")
"""Success, or the kind of `HeadraceError`; that something is missing is an answer like another."""

REQUESTS = Histogram(
    "headrace_operator_client_request_duration_seconds",
    "Length of the operator's requests, by remote system and by how they ended.",
    ("target", "outcome"),
    buckets=(0.01, 0.05, 0.25, 1, 5, 15),
    registry=None,
)
Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def measured(
    target: str,
) -> Callable[[Callable[Given, Awaitable[Answer]]], Callable[Given, Coroutine[Any, Any, Answer]]]:
    """Observe each call of a client's one way out to ``target``; a bug is no outcome."""
    for outcome in OUTCOMES:
        REQUESTS.labels(target, outcome)

    def around(send: Callable[Given, Awaitable[Answer]]) -> Callable[Given, Coroutine[Any, Any, Answer]]:
        @functools.wraps(send)
        async def timed(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
            begun = time.monotonic()
            try:
                answer = await send(*args, **kwargs)
            except errors.HeadraceError as error:
                REQUESTS.labels(target, type(error).__name__.lower()).observe(time.monotonic() - begun)
                raise
            REQUESTS.labels(target, "ok").observe(time.monotonic() - begun)
            return answer

        return timed

    return around
