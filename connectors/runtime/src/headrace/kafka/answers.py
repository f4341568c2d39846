"""What Kafka says of commits, which are sent and not waited for: the client's calls would stand with the coordinator.

An answer does not say of which commit it is, and one that is tried again comes late. So whoever waits for one waits for
as many as were under way with it: one of them at least is of its commit, or of one that was sent after it.
"""

from __future__ import annotations

from collections.abc import Callable

Then = Callable[[bool], None]
"""Is told whether all was taken that was waited for."""


class Answers:
    """How many commits are not answered yet, and who waits for them."""

    def __init__(self) -> None:
        self.outstanding = 0
        self._waiting: list[_Wait] = []

    def sent(self, then: Then | None) -> None:
        """Note that a commit was sent, of which ``then`` is told."""
        self.outstanding += 1
        if then is not None:
            self._waiting.append(_Wait(self.outstanding, then))

    def came(self, *, taken: bool) -> None:
        """Note that one was answered."""
        self.outstanding -= 1
        for one in self._waiting:
            one.left -= 1
            one.taken = one.taken and taken
        self._tell()

    def end(self) -> None:
        """Note that none is answered any more."""
        self.outstanding = 0
        for one in self._waiting:
            one.left, one.taken = 0, False
        self._tell()

    def _tell(self) -> None:
        over = [one for one in self._waiting if not one.left]
        self._waiting = [one for one in self._waiting if one.left]
        for one in over:
            one.then(one.taken)


class _Wait:
    """For so many answers."""

    def __init__(self, left: int, then: Then) -> None:
        self.left = left
        self.taken = True
        self.then = then
