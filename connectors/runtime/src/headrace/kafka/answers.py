"""What Kafka says of commits, which are sent and not waited for: the client's calls would stand with the coordinator.

An answer says of which commit it is by what was committed, which two may have in common, and one that is tried again
comes late. So whoever waits for one waits for all that were under way with it: what was sent later says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

Then = Callable[[bool], None]
"""Is told whether all was taken that was waited for."""


class Answers:
    """Which commits are not answered yet, and who waits for them."""

    def __init__(self) -> None:
        self._under_way: list[_Commit] = []
        self._waiting: list[_Wait] = []

    @property
    def outstanding(self) -> int:
        """How many are not answered."""
        return len(self._under_way)

    def sent(self, what: Hashable, then: Then | None) -> None:
        """Note that ``what`` was sent, of which ``then`` is told."""
        self._under_way.append(_Commit(what))
        if then is not None:
            self._waiting.append(_Wait(set(self._under_way), then))

    def came(self, what: Hashable, *, taken: bool) -> None:
        """Note that the first of which that is left was answered; if it is of none, the first of all."""
        found = [one for one in self._under_way if one.what == what] or self._under_way
        for answered in found[:1]:
            self._under_way.remove(answered)
            for one in self._waiting:
                one.hear(answered, taken=taken)
        self._tell()

    def end(self) -> None:
        """Note that none is answered any more."""
        self._under_way.clear()
        for one in self._waiting:
            one.left, one.taken = set(), False
        self._tell()

    def _tell(self) -> None:
        over = [one for one in self._waiting if not one.left]
        self._waiting = [one for one in self._waiting if one.left]
        for one in over:
            one.then(one.taken)


class _Commit:
    """One of ``what`` was sent; others may be of the same."""

    def __init__(self, what: Hashable) -> None:
        self.what = what


class _Wait:
    """For these."""

    def __init__(self, left: set[_Commit], then: Then) -> None:
        self.left = left
        self.taken = True
        self.then = then

    def hear(self, answered: _Commit, *, taken: bool) -> None:
        """Note that one was answered, which may be none of these."""
        if answered in self.left:
            self.left.remove(answered)
            self.taken = self.taken and taken
