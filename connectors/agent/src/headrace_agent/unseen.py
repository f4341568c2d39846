"""What a look could not see, raised low and told as it stands: the one error of a source."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from headrace_agent.told import Cause, Seen, Unknown

Value = TypeVar("Value")


class Unseen(Exception):
    """Nothing was seen, or done; ``unknown`` says why."""

    def __init__(self, cause: Cause, why: str) -> None:
        super().__init__(why)
        self.unknown = Unknown(cause=cause, why=why)


async def fact(look: Awaitable[Value]) -> Seen[Value] | Unknown:
    """Await a look; give what it saw, or why it did not."""
    try:
        return Seen(value=await look)
    except Unseen as unseen:
        return unseen.unknown
