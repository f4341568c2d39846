"""Where a partition goes on whose offset no longer exists: retention has passed it, or the topic was made anew."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from headrace.config import OnOffsetLost


class Span(NamedTuple):
    """The offsets ``start`` (included) to ``end`` (excluded) of a partition."""

    start: int
    end: int

    def since(self, offset: int) -> Span:
        """Return what of it lies at ``offset`` or behind that."""
        return Span(max(self.start, offset), self.end)


def restart(wish: OnOffsetLost, log: Span) -> int | None:
    """Return the offset at which to go on in ``log``; None is nowhere."""
    match wish:
        case "Stop":
            return None
        case "Earliest":
            return log.start
        case "Latest":
            return log.end
        case _:
            assert_never(wish)
