"""Questions of the operator's clients, whose deadlines are short: asked again where an answer did not come in time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from headrace_operator.clients.errors import HeadraceError, Retryable, Unauthorized
from tests.waiting import PATIENCE

Answer = TypeVar("Answer")


async def answered(
    question: Callable[[], Awaitable[Answer]], holds: Callable[[Answer], object] = lambda _: True
) -> Answer:
    """Return the answer for which ``holds``, once brokers know of what was just changed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if holds(answer := await question()):
                    return answer
            except (Retryable, Unauthorized):
                pass
            await asyncio.sleep(0.2)


async def refused(question: Callable[[], Awaitable[object]], words: str) -> HeadraceError:
    """Return the failure of a question that says ``words``, a pattern; others are for want of time."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await question()
            except HeadraceError as error:
                if re.search(words, str(error)):
                    return error
            else:
                raise AssertionError(f"there was an answer, and no failure that says {words}")
            await asyncio.sleep(0.2)
