"""The writes of a resource's life: they are counted, and one may go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from headrace_operator.clients.errors import Unreachable

How = Literal["before", "after", "lost"]
"""The process ends before a write, or after it, or goes on without the answer."""

WRITES = frozenset(
    {
        *("write_status", "note", "apply", "remove_child"),
        *("put", "set_state", "restart", "change_offsets", "remove", "set_log_level"),
        *("create", "alter", "grow", "send"),
    }
)
"""What clients offer that changes anything."""

NEVER = -1
"""The number of no write."""


class Crash(BaseException):
    """The process ends, whatever it would catch."""


@dataclass
class Writes:
    """Counts writes: number ``at`` goes wrong."""

    at: int
    how: How
    count: int = 0

    @property
    def went_wrong(self) -> bool:
        """Whether there were as many."""
        return self.count > self.at

    def of(self, real: Any) -> Any:
        """Return a stand-in for a client."""
        return _Counted(real, self)

    async def make(self, write: Callable[..., Awaitable[Any]], arguments: Any, named: Any) -> Any:
        """Make one write, which may be the one."""
        is_it = self.count == self.at
        self.count += 1
        if is_it and self.how == "before":
            raise Crash
        answer = await write(*arguments, **named)
        if is_it and self.how == "after":
            raise Crash
        if is_it:
            raise Unreachable("the answer was lost, as the test wants it")
        return answer


class _Counted:
    """A client whose writes are counted."""

    def __init__(self, real: Any, writes: Writes) -> None:
        self._real, self._writes = real, writes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)

        async def write(*arguments: Any, **named: Any) -> Any:
            return await self._writes.make(found, arguments, named)

        async def opened(*arguments: Any) -> Any:
            return self._writes.of(await found(*arguments))

        return write if name in WRITES else opened if name == "open" else found
